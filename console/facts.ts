/**
 * What a console knows of the pair: the daemon's last status and how old it is, the events that it
 * told, and how this console may be used. Always holds: a status older than three seconds is not a
 * fact any more, it is shown as unknown. Pure; imports core.
 */
import type { SessionView } from '../src/core/access.ts';
import type { UpdateError } from '../src/core/errors.ts';
import { NODES, type NodeId } from '../src/core/model.ts';
import {
  STALE_AFTER_MS,
  type NodeStatus,
  type PairStatus,
  type RolloutStatus,
  type TandemEvent,
} from '../src/core/status.ts';

/** Events that a console keeps; the daemon has all of them. */
export const EVENTS_MAX = 500;

/** Everything that was heard, and since when nothing was. */
export interface Facts {
  /** The last status; null before the first one. */
  readonly status: PairStatus | null;
  /** Milliseconds since the daemon answered, 0 while it does. */
  readonly silentMs: number;
  /** Why the daemon does not answer, or null while it does. */
  readonly lost: { readonly code: string; readonly message: string } | null;
  /** Oldest first, at most `EVENTS_MAX`. */
  readonly events: readonly TandemEvent[];
  /** Who is logged in; null while that is not known, and where the daemon knows no logins. */
  readonly person: SessionView | null;
  /** True when this console must not change anything. */
  readonly readonly: boolean;
}

/** Nothing was heard yet. */
export function noFacts(readonly: boolean): Facts {
  return { status: null, silentMs: 0, lost: null, events: [], person: null, readonly };
}

/** The status as long as it is a fact, else null. */
export function freshStatus(facts: Facts): PairStatus | null {
  return facts.silentMs > STALE_AFTER_MS ? null : facts.status;
}

/** The node that this console talks to; it is no secret even when nothing fresh is known. */
export function selfOf(facts: Facts): NodeId | null {
  return facts.status?.self ?? null;
}

/** A node as far as fresh facts tell, else null. */
export function nodeOf(facts: Facts, node: NodeId): NodeStatus | null {
  const found = freshStatus(facts)?.nodes[node];
  return found?.known === true ? found : null;
}

/** The rollout that runs now, or null; null also while nothing fresh is known. */
export function runningRollout(facts: Facts): RolloutStatus | null {
  const rollout = freshStatus(facts)?.rollout ?? null;
  return rollout === null || rollout.ended ? null : rollout;
}

/** The version that a rollback would return to, as the slots tell, or null when there is none. */
export function oldVersion(facts: Facts): string | null {
  for (const id of NODES) {
    const kept = nodeOf(facts, id)?.slots.find(
      (slot) => slot.class === 'system' && slot.state === 'good' && !slot.default,
    );
    if (kept?.release != null) return kept.release.version;
  }
  return null;
}

/** The schema of a status that this console understands. */
const STATUS_SCHEMA = 1;

/**
 * Why a status cannot be shown, or null: it is that of a newer daemon, or lacks what every daemon
 * of this schema tells.
 */
export function strangeStatus(status: PairStatus): string | null {
  const found = status as Partial<Record<keyof PairStatus, unknown>>;
  if (found.schema !== STATUS_SCHEMA) {
    const told = typeof found.schema === 'number' ? String(found.schema) : 'none';
    return `the daemon tells its status in schema ${told}, this console reads ${STATUS_SCHEMA}`;
  }
  const nodes = found.nodes as Partial<Record<NodeId, unknown>> | undefined;
  const whole =
    typeof found.state === 'string' &&
    typeof found.ha === 'object' &&
    NODES.every((id) => typeof nodes?.[id] === 'object' && nodes[id] !== null) &&
    Array.isArray(found.reform) &&
    Array.isArray(found.alarms) &&
    found.rollout !== undefined;
  return whole ? null : 'the daemon leaves out what this console has to show: it is too old';
}

/** The facts after a status was heard. */
export function heardStatus(facts: Facts, status: PairStatus): Facts {
  return { ...facts, status, silentMs: 0, lost: null };
}

/** The facts after the daemon did not answer for so long. */
export function heardNothing(facts: Facts, silentMs: number, error: UpdateError): Facts {
  return { ...facts, silentMs, lost: { code: error.code, message: error.message } };
}

/** The facts after events came; one that is known already is not taken twice. */
export function heardEvents(facts: Facts, news: readonly TandemEvent[]): Facts {
  const last = facts.events.at(-1)?.seq ?? 0;
  const added = news.filter(({ seq }) => seq > last);
  if (added.length === 0) return facts;
  return { ...facts, events: [...facts.events, ...added].slice(-EVENTS_MAX) };
}

/**
 * The age of something in steps that grow, so that an idle screen does not change: nothing below
 * three seconds, then `over 3 s`, `over 5 s`, `over 10 s`, minutes, hours, days.
 */
export function ageWords(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const steps = [86_400, 3_600, 1_800, 600, 300, 120, 60, 30, 20, 10, 5, 3];
  const step = steps.find((one) => one <= seconds);
  if (step === undefined) return '';
  if (step >= 86_400) return `over ${Math.floor(seconds / 86_400)} d`;
  if (step >= 3_600) return `over ${Math.floor(seconds / 3_600)} h`;
  return step >= 60 ? `over ${step / 60} min` : `over ${step} s`;
}
