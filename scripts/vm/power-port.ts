/**
 * The pair's power controller, asked by the guests over a virtio-serial port each: one line per
 * request, one line per answer (scripts/vm/README.md, "Power controller"). Always holds: a guest
 * switches its peer only; `off` is answered after the peer's process is gone, and `status` says
 * `off` only of a machine that does not come back by itself; a line that is no request is answered,
 * never obeyed. Imports core.
 */
import type { Duplex } from 'node:stream';
import { asUpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { PortSpec } from './command-line.ts';

/** Name of the port: /dev/virtio-ports/tandem.power in a Linux guest. */
export const POWER_PORT = 'tandem.power';

/** What the controller can do to a machine. */
export interface PowerSwitch {
  /** Whether the machine has power, or gets it back by itself. */
  readonly isSwitchedOn: boolean;
  cutPower(): Promise<void>;
  powerOn(): Promise<void>;
}

/**
 * How the controller behaves: `works`; `refuses` = says no to everything and does nothing; `silent`
 * = does nothing and never answers, as one whose network is down.
 */
export type PowerMode = 'works' | 'refuses' | 'silent';

/** A request that was answered, for tests and the log of a bench. */
export interface PowerRequest {
  readonly from: NodeId;
  readonly action: string;
  readonly node: string;
  readonly epoch: number;
  /** Exit status of the guest's command: 0 = done, 1 = not done, 2 = not a request. */
  readonly status: 0 | 1 | 2;
}

/** One request: a word that marks it, an action, the node to switch, the epoch of who asks. */
const REQUEST = /^([A-Za-z0-9._-]{1,40}) (off|on|status|self-test) ([A-Za-z0-9]{1,20}) (\d{1,16})$/;
const LINE_CHARS_MAX = 200;
const REQUESTS_MAX = 10_000;

/** The controller of one pair. */
export class PowerController {
  mode: PowerMode = 'works';
  readonly #switches: (node: NodeId) => PowerSwitch | undefined;
  readonly #answered: PowerRequest[] = [];

  /** `switches` finds the machine of a node; undefined while there is none. */
  constructor(switches: (node: NodeId) => PowerSwitch | undefined) {
    this.#switches = switches;
  }

  /** What was asked and answered, oldest first, at most the first 10,000. */
  get requests(): readonly PowerRequest[] {
    return this.#answered;
  }

  /** The port of one node's machine. */
  portOf(from: NodeId): PortSpec {
    return { name: POWER_PORT, serve: (stream) => this.#serve(from, stream) };
  }

  /** The answer to one line, without its end; null when there is none. */
  async answer(from: NodeId, line: string): Promise<string | null> {
    const [, id = '-', action = '', node = '', epoch = ''] = REQUEST.exec(line) ?? [];
    if (this.mode === 'silent') return null;
    const [status, words] = await this.#act(from, action, node);
    if (this.#answered.length < REQUESTS_MAX) {
      this.#answered.push({ from, action, node, epoch: Number(epoch), status });
    }
    return words === '' ? `${id} ${status}` : `${id} ${status} ${words}`;
  }

  async #act(from: NodeId, action: string, node: string): Promise<[0 | 1 | 2, string]> {
    if (action === '') return [2, 'this is not a request'];
    const peer = node === 'A' || node === 'B' ? node : null;
    if (peer === null) return [1, `there is no node ${node}`];
    if (peer === from) return [1, 'a node switches its peer only'];
    const machine = this.#switches(peer);
    if (machine === undefined || this.mode === 'refuses') return [1, 'the controller refuses'];
    if (action === 'status') return [0, machine.isSwitchedOn ? 'on' : 'off'];
    try {
      if (action === 'off') await machine.cutPower();
      if (action === 'on') await machine.powerOn();
      return [0, ''];
    } catch (error) {
      return [1, asUpdateError(error).message.replaceAll(/\s+/g, ' ').slice(0, LINE_CHARS_MAX)];
    }
  }

  #serve(from: NodeId, stream: Duplex): void {
    let text = '';
    // Answers leave in the order of the requests.
    let last = Promise.resolve();
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const lines = text.split('\n');
      // A line that never ends is answered once as what it is: no request.
      text = (lines.pop() ?? '').slice(0, LINE_CHARS_MAX + 1);
      for (const line of lines) last = last.then(() => this.#reply(from, line, stream));
    });
  }

  async #reply(from: NodeId, line: string, stream: Duplex): Promise<void> {
    const answer = await this.answer(from, line.replace(/\r$/, ''));
    if (answer !== null && !stream.destroyed) stream.write(`${answer}\n`);
  }
}
