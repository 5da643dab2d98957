/**
 * The bench for a person: a pair that runs, a line to type what shall happen to it, and either
 * node's serial line on this terminal. Always holds: what can be typed is what scenarios can do, by
 * the same verbs; a mistake is told and changes nothing; the terminal is as it was when this ends.
 * Imports core, the pair and the story.
 */
import { createInterface } from 'node:readline/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { isNode, type NodeId, type Slot } from '../../src/core/model.ts';
import { APPLIANCE_VARIANTS, isApplianceVariant } from '../appliance/variants.ts';
import type { AppliancePair } from './appliance-pair.ts';
import { keepEvidence } from './evidence.ts';
import { failing, SECOND } from './releases.ts';
import { Story, type Cable, type Which } from './story.ts';
import { PAIR_DIR } from './workshop.ts';

/** Control and the closing bracket, as telnet has it. */
const ESCAPE = 0x1d;

const MENU = `
  console A|B                     the node's serial line on this terminal; Ctrl-] comes back
  status [A|B]                    what the pair says of itself
  shell A|B COMMAND               a command of root
  cut A|B|both                    cut the power
  on A|B|both                     restore it
  link cut|restore [network|serial|both]
  freeze A|B, thaw A|B            stop a machine whole, and let it go on
  hang A|B daemon|system          let it hang by itself, so that its watchdog acts
  panic A|B                       its kernel panics
  rot A|B system|storage A|B      noise into a slot
  controller works|refuses|silent how the power controller behaves
  push A|B [FILE]                 bring a bundle to the node: /data/update.bin; default: 2.0.0
  update A|B [FILE|VARIANT]       install it from there; variants of 2.0.0:
                                  ${Object.keys(APPLIANCE_VARIANTS).join(', ')}
  client start|stop               a client that writes, and what became of its records
  keep [FOLDER]                   serial lines, journals and messages into a folder
  help, end
`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const wrong = (message: string): UpdateError => new UpdateError('usage.invalid', message);

function nodeIn(word: string | undefined): NodeId {
  if (word !== undefined && isNode(word)) return word;
  throw wrong(`"${word ?? ''}" is no node; A or B`);
}

function oneIn<T extends string>(all: readonly T[], word: string | undefined): T {
  const found = all.find((one) => one === word);
  if (found !== undefined) return found;
  throw wrong(`"${word ?? ''}" is not known here; ${all.join(', ')}`);
}

/** What a person works with. */
class Desk {
  readonly pair: AppliancePair;
  readonly story: Story;

  constructor(pair: AppliancePair) {
    this.pair = pair;
    this.story = new Story(pair, Math.random, say);
  }

  /** Carries out one line. Throws `usage.invalid` for what is not known. */
  async obey(line: string): Promise<void> {
    const [verb = '', ...words] = line.trim().split(/\s+/);
    const deed = this.#deeds[verb];
    if (deed === undefined) throw wrong(`"${verb}" is not known; help shows what is`);
    await deed(words);
  }

  readonly #deeds: Readonly<Record<string, (words: readonly string[]) => Promise<void>>> = {
    help: async () => say(MENU),
    status: async ([node = 'A']) => this.#tandem(nodeIn(node), 'status'),
    shell: async ([node, ...rest]) => {
      const { output, status } = await this.pair.run(nodeIn(node), rest.join(' '));
      say(`${output}(${String(status)})`);
    },
    cut: async ([which]) => this.story.cutPower(whichIn(which)),
    on: async ([which]) => this.story.restorePower(whichIn(which)),
    link: async ([deed, cable = 'both']) => {
      const which = oneIn<Cable>(['both', 'network', 'serial'], cable);
      if (oneIn(['cut', 'restore'], deed) === 'cut') await this.story.cutLink(which);
      else await this.story.restoreLink(which);
    },
    freeze: async ([node]) => this.story.freeze(nodeIn(node)),
    thaw: async ([node]) => this.story.thaw(nodeIn(node)),
    hang: async ([node, what]) => {
      if (oneIn(['daemon', 'system'], what) === 'daemon') {
        await this.story.hangDaemon(nodeIn(node));
      } else await this.story.hangSystem(nodeIn(node));
    },
    panic: async ([node]) => this.story.panic(nodeIn(node)),
    rot: async ([node, cls, slot]) => {
      const which = oneIn(['system', 'storage'], cls);
      await this.story.corrupt(nodeIn(node), which, oneIn<Slot>(['A', 'B'], slot));
    },
    controller: async ([mode]) =>
      this.story.controller(oneIn(['works', 'refuses', 'silent'], mode)),
    push: async ([node, file]) => void (await this.#push(nodeIn(node), file)),
    update: async ([node, what]) => this.#update(nodeIn(node), what),
    client: async ([deed]) => {
      if (oneIn(['start', 'stop'], deed) === 'start') await this.story.clientWrites();
      else await this.story.clientEnds();
    },
    keep: async ([folder = join(PAIR_DIR, `kept-${String(Date.now())}`)]) => {
      await keepEvidence(this.pair, folder);
      say(`kept in ${folder}`);
    },
  };

  async #tandem(node: NodeId, ...args: readonly string[]): Promise<void> {
    const { stdout, stderr } = await this.pair.tandem(node, ...args).done;
    say(stdout + stderr);
  }

  async #push(node: NodeId, file: string | undefined): Promise<string> {
    const release =
      file !== undefined && isApplianceVariant(file) && file !== 'good' ? failing(file) : SECOND;
    const isMade = file === undefined || isApplianceVariant(file);
    const bundle = isMade ? await this.pair.workshop.bundle(release) : file;
    const path = await this.pair.push(node, bundle);
    say(`${bundle} is ${path} on node ${node}`);
    return path;
  }

  async #update(node: NodeId, what: string | undefined): Promise<void> {
    const path = await this.#push(node, what);
    const command = this.pair.update(node, path);
    const end = ({ exit, stderr }: Awaited<typeof command.done>): void =>
      say(`the update ended with ${String(exit)}\n${stderr}`);
    void command.done.then(end);
    say('the update runs; status shows how far it is');
  }
}

function whichIn(word: string | undefined): Which {
  return oneIn<Which>(['A', 'B', 'both'], word);
}

/** The serial line of a node on this terminal until Ctrl-]. */
async function attach(pair: AppliancePair, node: NodeId): Promise<void> {
  const { stdin, stdout } = process;
  const { serial } = pair.nodes[node].machine;
  const deaf = serial.listen((bytes) => void stdout.write(bytes));
  const { promise, resolve } = Promise.withResolvers<void>();
  const type = (bytes: Buffer): void => {
    const end = bytes.indexOf(ESCAPE);
    const typed = end < 0 ? bytes : bytes.subarray(0, end);
    serial.write(typed).catch(() => undefined);
    if (end >= 0) resolve();
  };
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('data', type).once('end', resolve).resume();
  try {
    // Whoever runs there draws its screen anew for somebody who comes.
    await serial.write('\r').catch(() => undefined);
    await promise;
  } finally {
    deaf();
    stdin.off('data', type).off('end', resolve);
    if (stdin.isTTY) stdin.setRawMode(false);
  }
}

/** Lets a person work with a pair until the word `end`, the end of the input, or the signal. */
export async function workWith(pair: AppliancePair, signal: AbortSignal): Promise<void> {
  const desk = new Desk(pair);
  say(MENU);
  for (;;) {
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    let line: string;
    try {
      const ended = new Promise<never>((_resolve, reject) => {
        lines.once('close', () => reject(wrong('the input has ended')));
      });
      // The line's own end is told here too, after it was read, and is nobody's affair then.
      ended.catch(() => undefined);
      line = await Promise.race([lines.question('bench> ', { signal }), ended]);
    } catch {
      return;
    } finally {
      // Its own listeners let go of the terminal's keys; without them each line would echo anew.
      lines.close();
    }
    const [verb, node] = line.trim().split(/\s+/);
    if (verb === 'end') return;
    if (verb === '') continue;
    try {
      if (verb === 'console') {
        say('(Ctrl-] comes back)');
        await attach(pair, nodeIn(node));
        say('');
      } else await desk.obey(line);
    } catch (error) {
      say(asUpdateError(error).message);
    }
  }
}
