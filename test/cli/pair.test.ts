/**
 * The verbs `pair init` and `pair join` as a script and a person use them: output, exit statuses,
 * the keys that are there afterwards. May import tap, node:, the command line and the keys.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCommand } from '../../src/cli/run.ts';
import { loadKeys } from '../../src/drivers/keys.ts';

/** One command line under way: what it has printed, and its exit status. */
class Command {
  out = '';
  err = '';
  readonly exit: Promise<number>;
  readonly #stop = new AbortController();
  #look: (() => void) | null = null;

  constructor(t: Test, ...argv: string[]) {
    this.exit = runCommand(['pair', ...argv], {
      out: (text) => {
        this.out += text;
        this.#look?.();
      },
      err: (text) => (this.err += text),
      errIsTerminal: false,
      columns: 80,
      env: {},
      signal: this.#stop.signal,
    });
    t.teardown(() => this.interrupt());
  }

  /** The first line of the output, once it is there. */
  async firstLine(): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#look = () => {
      if (this.out.includes('\n')) resolve(this.out.split('\n')[0]!);
    };
    this.#look();
    const ended = this.exit.then((exit) => Promise.reject(new Error(`ended ${exit}: ${this.err}`)));
    return Promise.race([promise, ended]);
  }

  interrupt(): void {
    this.#stop.abort();
  }

  get json(): object[] {
    return this.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
  }
}

/** Writes a configuration for each node; returns their options. */
async function configs(t: Test): Promise<Record<'a' | 'b', string[]>> {
  const dir = t.testdir({ a: {}, b: {} });
  const addresses = { listen: '127.0.0.1:7701', peer: '127.0.0.1:7711' };
  const back = { listen: addresses.peer, peer: addresses.listen };
  const write = async (name: 'a' | 'b'): Promise<string[]> => {
    const file = join(dir, name, 'tandem.jsonc');
    const ends = name === 'a' ? addresses : back;
    const config = {
      node: name.toUpperCase(),
      product: 'appliance',
      hardware: 'rev1',
      stateDir: 'state',
      runDir: '/run/tandem',
      link: ends,
      storage: { listen: ends.listen.replace('1:', '1:1'), peer: ends.peer.replace('1:', '1:1') },
      service: { address: '127.0.0.1:8080', program: 'bin/service.mjs' },
      slots: { driver: 'file' },
      boot: { driver: 'file' },
    };
    await writeFile(file, JSON.stringify(config));
    return ['--config', file];
  };
  return { a: await write('a'), b: await write('b') };
}

const FREE = ['--listen', '127.0.0.1:0'];
const keysDir = (t: Test, name: string): string => join(t.testdirName, name, 'state', 'keys');

await t.test('a script pairs two nodes', async (t) => {
  const { a, b } = await configs(t);
  const init = new Command(t, 'init', ...a, ...FREE, '--json');
  const first = JSON.parse(await init.firstLine()) as { code: string; listen: string };
  t.match(first, { node: 'A', validS: 600, tries: 5, listen: /^127\.0\.0\.1:\d+$/ });
  const joined = new Command(t, 'join', first.listen, first.code, ...b, '--json');
  t.equal(await joined.exit, 0, joined.err);
  t.equal(await init.exit, 0, init.err);
  const keys = { a: await loadKeys(keysDir(t, 'a')), b: await loadKeys(keysDir(t, 'b')) };
  const { pair } = keys.a;
  t.same(joined.json, [{ pair, peer: { node: 'A', spkiSha256: keys.a.spkiSha256 } }]);
  t.same(init.json, [first, { pair, peer: { node: 'B', spkiSha256: keys.b.spkiSha256 } }]);
  t.equal(init.err + joined.err, '', 'with --json nothing else is said');
});

await t.test('a person pairs two nodes, with blanks in the code', async (t) => {
  const { a, b } = await configs(t);
  const init = new Command(t, 'init', ...a, ...FREE);
  const code = await init.firstLine();
  t.match(code, /^\S{4}(-\S{4}){6}$/, 'the code alone stands on the first line');
  const [, address] = /tandem pair join (\S+) /.exec(init.err) ?? [];
  t.match(init.err, `${address} ${code}`);
  t.match(init.err, /valid for 10 minutes; 5 wrong codes end it/);
  const joined = new Command(t, 'join', address!, ...code.toLowerCase().split('-'), ...b);
  t.equal(await joined.exit, 0, joined.err);
  t.equal(await init.exit, 0);
  t.match(joined.out, /^Paired with node A\.\nPair [0-9a-f]{32}\nKey {2}[0-9a-f]{64}\n$/);
  t.match(init.out.split('\n')[1], 'Paired with node B.');
  const secret = await readFile(join(keysDir(t, 'a'), 'node.key'), 'utf8');
  t.notOk((init.out + init.err + joined.out).includes(secret.slice(40, 80)));
});

await t.test('what goes wrong has its exit status', async (t) => {
  const { a, b } = await configs(t);
  const init = new Command(t, 'init', ...a, ...FREE, '--json');
  const { code, listen } = JSON.parse(await init.firstLine()) as { code: string; listen: string };
  const other = code.slice(0, -2) + (code.endsWith('00') ? '11' : '00');
  const cases: [number, string, string[]][] = [
    [2, 'pair.code_malformed', ['join', listen, other, ...b]],
    [2, 'usage.invalid', ['join', 'nowhere', code, ...b]],
    [2, 'usage.invalid', ['join', listen, ...b]],
    [2, 'usage.invalid', ['init', ...b, '--listen', '99999']],
    [2, 'file.not_found', ['join', listen, code, '--config', '/nonexistent/tandem.jsonc']],
    [51, 'pair.code_wrong', ['join', listen, '0000-0000-0000-0000-0000-0000-0000', ...b]],
    [24, 'pair.peer_unreachable', ['join', '127.0.0.1:1', code, ...b]],
    [2, 'pair.same_node', ['join', listen, code, '--config', b[1]!.replace('/b/', '/same/')]],
  ];
  const text = (await readFile(b[1]!, 'utf8')).replace('"node":"B"', '"node":"A"');
  const dir = join(t.testdirName, 'same');
  await mkdir(dir);
  await writeFile(join(dir, 'tandem.jsonc'), text);
  for (const [exit, word, argv] of cases) {
    const command = new Command(t, ...argv, '--json');
    t.equal(await command.exit, exit, `${word}: ${command.err}`);
    t.match(command.json, [{ error: { code: word }, exit }]);
    t.match(command.err, word);
  }
  t.equal(await init.exit, 2, 'the node that waits ends as well when both are node A');

  const interrupted = new Command(t, 'init', ...b, ...FREE);
  await interrupted.firstLine();
  interrupted.interrupt();
  t.equal(await interrupted.exit, 41);
  t.match(interrupted.err, 'pair.cancelled');
});
