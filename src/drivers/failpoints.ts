/**
 * Places at which a test lets this daemon die, stand still or fail: before and after every durable
 * write of a record, every effect, every message. Always holds: in the field nothing of this is
 * there. The variable TANDEM_FAILPOINT alone does nothing; it counts only beside
 * TANDEM_FAILPOINT_BOOT with the id of this very boot, which is random and which only a boot loader
 * knows that was started for tests (`scripts/supervisor.ts --failpoints`). So no forgotten line in
 * a unit file, in a shell or in an image can arm one, not even one that was copied from a test.
 * Without both, the ports are handed back untouched and cost nothing. Imports core, ports and node.
 */
import { readFileSync, rmSync } from 'node:fs';
import { UpdateError } from '../core/errors.ts';
import type { PairMessage } from '../core/report.ts';
import type { Effect } from '../core/state.ts';
import type { Journal, PeerLink } from '../ports.ts';

/** Path of the file that arms a point; it need not exist. */
export const FAILPOINT_VARIABLE = 'TANDEM_FAILPOINT';
/** Id of the boot for which the other variable counts. */
export const FAILPOINT_BOOT_VARIABLE = 'TANDEM_FAILPOINT_BOOT';

const EFFECTS = [
  'run-storage',
  'serve',
  'release',
  'go-alone',
  'fence',
  'fetch',
  'offer',
  'install',
  'arm',
  'commit',
  'revert',
  'reboot',
  'check-health',
  'watch-service',
  'raise-format',
  'close-other-slot',
] as const satisfies readonly Effect['do'][];
const MESSAGES = [
  'report',
  'rollout',
  'event',
  'request',
  'answer',
] as const satisfies readonly PairMessage['type'][];

/** What can be struck: a write of a record, an effect, a message that goes or comes. */
export const FAILPOINTS: readonly string[] = [
  'write-node',
  'write-rollout',
  ...EFFECTS.map((word) => `do-${word}`),
  ...MESSAGES.flatMap((word) => [`send-${word}`, `hear-${word}`]),
];

/** One armed point. */
export interface Failpoint {
  readonly moment: 'before' | 'after';
  /** A word of `FAILPOINTS`. */
  readonly point: string;
  /** Phase of the rollout in which it strikes; null = in any, and without a rollout. */
  readonly phase: string | null;
  /** `kill`: SIGKILL to this process; `fail`: an error, for a message its loss. */
  readonly action: 'kill' | 'fail' | { readonly stallMs: number };
}

const SHAPE = /^(before|after):([a-z-]+)(?:@([A-Z0-9_]+))?=(kill|fail|stall:(\d{1,6}))$/;

/**
 * Reads `before:write-rollout@ACT1=kill`: moment, point, phase (may be left out), action (`kill`,
 * `fail`, `stall:MS`). Throws `usage.invalid`; what has left or come cannot fail any more.
 */
export function parseFailpoint(text: string): Failpoint {
  const [, moment, point = '', phase, action, ms] = SHAPE.exec(text.trim()) ?? [];
  const message = /^(send|hear)-/.test(point);
  const late = message && moment === 'after' && action === 'fail';
  if (!FAILPOINTS.includes(point) || late) {
    const shown = JSON.stringify(text.slice(0, 100));
    throw new UpdateError('usage.invalid', `${shown} is no failpoint`, {
      detail: { accepted: '(before|after):POINT[@PHASE]=(kill|fail|stall:MS)' },
    });
  }
  return {
    moment: moment as Failpoint['moment'],
    point,
    phase: phase ?? null,
    action: ms === undefined ? (action as 'kill' | 'fail') : { stallMs: Number(ms) },
  };
}

/** The ports that pass by the points. */
interface Watched<More extends readonly unknown[]> {
  readonly journal: Journal;
  readonly link: PeerLink;
  readonly execute: (effect: Effect, ...more: More) => Promise<void>;
}

/** What a daemon under test is told; see the variables above. */
interface FailpointOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly bootId: string;
  /** Phase of the rollout that this node knows, or null. */
  readonly phase: () => string | null;
  readonly log: (line: string) => void;
}

/** The same ports, with points in them if this boot was started for tests. */
export function withFailpoints<More extends readonly unknown[]>(
  options: FailpointOptions,
  ports: Watched<More>,
): Watched<More> {
  const { [FAILPOINT_VARIABLE]: file, [FAILPOINT_BOOT_VARIABLE]: boot } = options.env;
  if (file === undefined || file === '' || boot !== options.bootId) return ports;
  const points = new Points(file, options);
  const { execute } = ports;
  return {
    journal: points.journal(ports.journal),
    link: points.link(ports.link),
    execute: (effect, ...more) =>
      points.around(`do-${effect.do}`, options.phase(), () => execute(effect, ...more)),
  };
}

class Points {
  readonly #file: string;
  readonly #options: FailpointOptions;

  constructor(file: string, options: FailpointOptions) {
    this.#file = file;
    this.#options = options;
    options.log(`failpoints can be armed in ${file}: this is a test`);
  }

  journal(journal: Journal): Journal {
    return {
      read: () => journal.read(),
      repair: () => journal.repair(),
      append: (record) => {
        const own = record.kind === 'rollout' ? record.record.phase : this.#options.phase();
        return this.around(`write-${record.kind}`, own, () => journal.append(record));
      },
    };
  }

  link(link: PeerLink): PeerLink {
    return {
      send: (message) => this.#message('send', message, () => link.send(message)),
      onMessage: (listener) =>
        link.onMessage((message) => this.#message('hear', message, () => listener(message))),
      onChange: (listener) => link.onChange(listener),
      channels: () => link.channels(),
      [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
    };
  }

  async around<T>(point: string, phase: string | null, work: () => Promise<T>): Promise<T> {
    this.#strike('before', point, phase);
    const result = await work();
    this.#strike('after', point, phase);
    return result;
  }

  #message(way: 'send' | 'hear', message: unknown, pass: () => void): void {
    const { type } = message as { readonly type?: unknown };
    const point = `${way}-${String(type)}`;
    const phase = this.#options.phase();
    try {
      this.#strike('before', point, phase);
    } catch {
      return;
    }
    pass();
    this.#strike('after', point, phase);
  }

  /** The file goes before the point acts, so that a daemon which died of it starts again. */
  #strike(moment: Failpoint['moment'], point: string, phase: string | null): void {
    const armed = this.#armed();
    if (armed === null || armed.moment !== moment || armed.point !== point) return;
    if (armed.phase !== null && armed.phase !== phase) return;
    rmSync(this.#file, { force: true });
    this.#options.log(`failpoint ${moment}:${point} in phase ${phase ?? 'none'}`);
    if (armed.action === 'fail') {
      throw new UpdateError('state.io', `failpoint ${moment}:${point}`);
    }
    // The whole process: neither timers nor sockets are served meanwhile.
    const stallMs = armed.action === 'kill' ? Infinity : armed.action.stallMs;
    if (armed.action === 'kill') process.kill(process.pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
  }

  #armed(): Failpoint | null {
    try {
      return parseFailpoint(readFileSync(this.#file, 'utf8'));
    } catch (error) {
      if (error instanceof UpdateError) this.#options.log(error.message);
      return null;
    }
  }
}
