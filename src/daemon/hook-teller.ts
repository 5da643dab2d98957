/**
 * Tells the hooks of `notify` of what happens, and those of `on-fail` of an update that did not
 * come to its end. Always holds: each event of the pair is told once, by the node that it happened
 * on; hooks run one after the other, and one that hangs delays only what is told after it; what
 * does not fit into the queue is counted and the count is told. Nothing here decides anything.
 * Imports core, ports and the updater.
 */
import { asUpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { END_PHASES, type RolloutRecord } from '../core/records.ts';
import type { NodeState } from '../core/state.ts';
import type { Alarm, TandemEvent } from '../core/status.ts';
import type { Hooks } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';

/** What people and machines are told of; progress is not. */
export type NotifyClass =
  'update' | 'node' | 'service' | 'link' | 'operator' | 'schedule' | 'clock' | 'alarm' | 'job';

const CLASS_OF: Readonly<Record<string, NotifyClass>> = {
  request: 'update',
  phase: 'update',
  waiting: 'update',
  ended: 'update',
  failed: 'update',
  installing: 'node',
  installed: 'node',
  arming: 'node',
  rebooting: 'node',
  trial: 'node',
  healthy: 'node',
  committing: 'node',
  committed: 'node',
  reverting: 'node',
  reverted: 'node',
  service: 'service',
  admitted: 'service',
  link: 'link',
  operator: 'operator',
  schedule: 'schedule',
  clock: 'clock',
};

/** The class of an event; null = it is not told. */
export function classOf({ state, pct, job }: Pick<TandemEvent, 'state' | 'pct' | 'job'>) {
  if (state === 'progress' || pct !== null) return null;
  return CLASS_OF[state] ?? (job === null ? null : 'job');
}

/** What the teller is made of. */
export interface TellerParts {
  readonly node: NodeId;
  readonly hooks: Hooks;
  /** Alarms of the pair, and whether this node is the one to tell of them. */
  readonly alarms: () => readonly Alarm[];
  readonly tellsAlarms: () => boolean;
  readonly log: (line: string) => void;
  readonly pause?: Pause;
}

interface Message {
  readonly point: 'notify' | 'on-fail';
  readonly input: object;
}

/** Messages that wait for hooks; beyond it the oldest is dropped. */
const QUEUE_MAX = 100;
/** How often alarms are compared. */
const LOOK_MS = 5000;

/** Tells hooks. */
export class HookTeller implements AsyncDisposable {
  readonly #parts: TellerParts;
  readonly #ended = new AbortController();
  #queue: Message[] = [];
  #dropped = 0;
  #telling: Promise<void> | null = null;
  #loop: Promise<void> = Promise.resolve();
  #rollout: RolloutRecord | null | undefined;
  #alarms: ReadonlyMap<string, Alarm> = new Map();

  constructor(parts: TellerParts) {
    this.#parts = parts;
  }

  /** Begins to watch the alarms. */
  start(): void {
    this.#loop = this.#run(this.#ended.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    await this.#telling;
  }

  /** An event of either node; the peer tells its own. */
  onEvent(event: TandemEvent): void {
    if (event.node !== this.#parts.node) return;
    const cls = classOf(event);
    if (cls !== null) this.#push({ point: 'notify', input: { v: 1, class: cls, event } });
  }

  /** After each step: whether a rollout has come to an end that is none of its own. */
  onState({ rollout, record, world }: NodeState): void {
    const before = this.#rollout;
    this.#rollout = rollout;
    // What had ended when the daemon began was told by the one before.
    if (before === undefined || rollout === null || rollout === before) return;
    const isNew = before?.id !== rollout.id || !END_PHASES.has(before.phase);
    const ended = END_PHASES.has(rollout.phase) && isNew;
    if (!ended || !hasFailed(rollout)) return;
    const { id, kind, phase, result, to } = rollout;
    const input = {
      v: 1,
      node: record.node,
      serving: world.serving !== null,
      rollout: id,
      kind,
      phase,
      version: to.version,
      code: result?.code ?? null,
      message: result?.message ?? null,
    };
    this.#push({ point: 'on-fail', input });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const wait = this.#parts.pause ?? pause;
    while (!signal.aborted) {
      this.look();
      await wait(LOOK_MS, signal);
    }
  }

  /** Compares the alarms with those before, and tells what is new and what is over. */
  look(): void {
    const { alarms, tellsAlarms, node } = this.#parts;
    const now = new Map(alarms().map((one) => [`${one.code} ${one.node ?? ''}`, one]));
    const before = this.#alarms;
    this.#alarms = now;
    if (!tellsAlarms()) return;
    for (const [key, alarm] of now) {
      if (!before.has(key)) this.#push(alarmMessage(node, 'raised', alarm));
    }
    for (const [key, alarm] of before) {
      if (!now.has(key)) this.#push(alarmMessage(node, 'over', alarm));
    }
  }

  #push(message: Message): void {
    if (this.#ended.signal.aborted) return;
    this.#queue.push(message);
    if (this.#queue.length > QUEUE_MAX) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#telling ??= this.#tell();
  }

  async #tell(): Promise<void> {
    const { hooks, log } = this.#parts;
    const { signal } = this.#ended;
    for (let next = this.#queue.shift(); next !== undefined && !signal.aborted;) {
      const { point, input } = next;
      const dropped = this.#dropped;
      this.#dropped = 0;
      try {
        await hooks.run(point, dropped === 0 ? input : { ...input, dropped }, signal);
      } catch (cause) {
        if (!signal.aborted) log(`${point} hooks: ${asUpdateError(cause).message}`);
      }
      next = this.#queue.shift();
    }
    this.#telling = null;
  }
}

function alarmMessage(node: NodeId, state: 'raised' | 'over', alarm: Alarm): Message {
  return { point: 'notify', input: { v: 1, class: 'alarm', state, node, alarm } };
}

/** Whether it ended in another way than it was begun for, and not because somebody cancelled it. */
function hasFailed({ phase, kind, result }: RolloutRecord): boolean {
  if (phase === 'DONE' || (phase === 'ROLLED_BACK' && kind === 'rollback')) return false;
  return result?.code !== 'job.cancelled';
}
