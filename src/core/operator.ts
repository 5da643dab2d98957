/**
 * What the daemon answers to an operator's word: acts that are done at once, what a takeover would
 * cost, the checks before an update with their fixes, an estimate, and entries of the audit log.
 * Keys are only ever added. Pure types; imports only core.
 */
import type { Via } from './access.ts';
import type { Code } from './codes.ts';
import type { NodeId } from './model.ts';
import type { Phase } from './records.ts';

/** A word of an operator that is no job. */
export type ActKind = 'switchover' | 'takeover' | 'stand-down' | 'pause' | 'resume';

/** The answer to such a word; a refusal is an error instead. */
export interface ActAnswer {
  readonly act: ActKind;
  /** False when it was so already. */
  readonly changed: boolean;
  readonly message: string;
  /** The node that serves at this moment, as far as the one that answers knows. */
  readonly serving: NodeId | null;
  /** `switchover`: the node that is to serve. */
  readonly to?: NodeId;
  /** `pause`: the phase at whose end the rollout rests. */
  readonly restsAfter?: Phase | null;
}

/** What the operator's word that the peer is off would do now, and what it costs. */
export interface TakeoverView {
  readonly node: NodeId;
  readonly peer: NodeId;
  /** Why it is refused, or null when it may be said. */
  readonly refusal: { readonly code: Code; readonly message: string; readonly next: string } | null;
  /** True when nothing is left to do: this node serves and needs no word. */
  readonly needless: boolean;
  /** When the peer was last heard, for people; null when never since the start of the daemon. */
  readonly lastHeardAt: string | null;
  readonly lastHeardS: number | null;
  /** What happens, one sentence. */
  readonly does: string;
  /** What it costs, a sentence each. */
  readonly costs: readonly string[];
  /** What a person types to confirm it. */
  readonly word: string;
}

/** One check before an update. */
export interface PrecheckRow {
  readonly name: string;
  /** `warning` never refuses; `unknown` could not be found out and does not refuse either. */
  readonly result: 'ok' | 'failed' | 'warning' | 'unknown';
  readonly code: Code | null;
  readonly detail: string;
  /** What to do about it, a sentence; null only when it is ok. */
  readonly fix: string | null;
}

/** What a rollout is expected to take. */
export interface Estimate {
  readonly totalS: number;
  readonly phases: readonly { readonly phase: Phase; readonly seconds: number }[];
  /** `history`: rollouts of this pair; `sizes`: sizes and rates, with assumptions. */
  readonly basis: 'history' | 'sizes';
  /** What it is based on, in words. */
  readonly text: string;
}

/** Result of `tandem update --dry-run`: nothing was changed. */
export interface PrecheckReport {
  readonly ok: boolean;
  readonly bundle: string | null;
  readonly version: string | null;
  readonly checks: readonly PrecheckRow[];
  /** Of the first check that failed. */
  readonly code: Code | null;
  readonly message: string;
  readonly next: string | null;
  /** Null while the bundle cannot be read. */
  readonly estimate: Estimate | null;
}

/** One entry of the audit log. */
export interface AuditEntry {
  readonly v: 1;
  readonly at: string;
  /** The node that was asked. */
  readonly node: NodeId;
  readonly act: string;
  /** The user of the session; on the control socket only what the caller said. */
  readonly by: string;
  /** Which of the two it was; absent in entries that are older than the console socket. */
  readonly via?: Via;
  readonly reason: string | null;
  readonly result: 'accepted' | 'done' | 'unchanged' | 'refused' | 'failed';
  readonly code: Code | null;
  readonly message: string;
  readonly job: string | null;
}
