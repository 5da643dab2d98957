/**
 * One process of QEMU, from its start to its end. Monitor, serial line and ports are unix sockets
 * that it inherits, so there is no path to collide or to go stale, and it starts with the processor
 * stopped: nothing of a boot is lost. Always holds: the process dies with the one that started it,
 * however that ends, because the kernel kills it (prctl(2), PR_SET_PDEATHSIG); start machines from
 * the main thread, since the kernel watches the thread. Imports core and scripts/image.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { UpdateError } from '../../src/core/errors.ts';
import { needTool } from '../image/tools.ts';
import { FIRST_FD } from './command-line.ts';
import { QmpClient, type JsonObject } from './qmp.ts';

/** How a process ended. */
export interface ProcessEnd {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what QEMU said on its error output. */
  readonly words: string;
}

const WORDS_CHARS_MAX = 4000;
/**
 * The kernel's promise counts from the call on; whoever died before it has left the process to
 * another parent, which the shell sees (its $0 is the harness) and then ends.
 */
const GUARD = '[ "$PPID" = "$0" ] || exit 97; exec "$@"';

/** A running QEMU. */
export class Emulator {
  readonly pid: number;
  readonly serial: Socket;
  /** Ports and further serial lines, as `streamsOf` lists them. */
  readonly streams: readonly Socket[];
  /** Settles when the process is gone and everything that it said has been read. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly qmp: QmpClient;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ended: Promise<ProcessEnd>, qmp: QmpClient) {
    const [serial, ...streams] = child.stdio.slice(FIRST_FD.serial) as Socket[];
    if (child.pid === undefined || serial === undefined) throw new Error('QEMU has no pid');
    this.#child = child;
    this.pid = child.pid;
    this.serial = serial;
    this.streams = streams;
    this.ended = ended;
    this.qmp = qmp;
  }

  /**
   * Starts QEMU with `args` and greets its monitor; the processor is stopped still. `onEvent` gets
   * every event. Throws `tool.missing` with the Debian package, `tool.failed` with QEMU's words.
   */
  static async start(
    args: readonly string[],
    streamCount: number,
    onEvent: (name: string, data: JsonObject) => void,
  ): Promise<Emulator> {
    const qemu = await needTool('qemu-system-x86_64');
    const guard = await needTool('setpriv');
    const argv = [
      '--pdeathsig',
      'KILL',
      '/bin/sh',
      '-c',
      GUARD,
      String(process.pid),
      qemu,
      ...args,
    ];
    const pipes = Array.from({ length: 2 + streamCount }, () => 'pipe' as const);
    const child = spawn(guard, argv, { stdio: ['ignore', 'ignore', 'pipe', ...pipes] });
    const ended = endOf(child);
    const [monitor] = child.stdio.slice(FIRST_FD.qmp) as Socket[];
    try {
      // Without it there is no process, and a kill would meet another one.
      await once(child, 'spawn');
      if (monitor === undefined) throw new Error('there is no monitor');
      const qmp = await QmpClient.connect(monitor, onEvent);
      return new Emulator(child, ended, qmp);
    } catch (error) {
      if (child.pid === undefined) {
        throw new UpdateError('tool.failed', 'QEMU cannot be started', { cause: error });
      }
      child.kill('SIGKILL');
      const { words, status } = await ended;
      const said = words === '' ? `it ended with status ${String(status)}` : words;
      throw new UpdateError('tool.failed', `QEMU did not start: ${said}`, { cause: error });
    }
  }

  /** Kills the process, which loses what it had not written; returns when it is gone. */
  async kill(): Promise<ProcessEnd> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_CHARS_MAX);
  });
  for (const stream of child.stdio.slice(FIRST_FD.qmp) as Socket[]) {
    // A process that is killed leaves bytes unread, which resets the connection.
    stream.on('error', () => undefined);
    // What nobody reads would hide the end; nothing is said before the processor runs.
    stream.resume();
  }
  // A spawn that failed is reported by `once` above, and 'close' does not always follow.
  child.on('error', () => undefined);
  return new Promise((resolve) => {
    child.once('close', (status, signal) => resolve({ status, signal, words: words.trim() }));
  });
}
