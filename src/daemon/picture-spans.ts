/**
 * What is drawn in the picture of a rollout: its phases as spans of time, whose turn each was, and
 * who served meanwhile. Always holds: spans are in order, do not overlap and end where the next one
 * begins, also where a wall clock went back; what is not known is no span. Pure; imports core.
 */
import { peerOf, type NodeId } from '../core/model.ts';
import { endedAt } from '../core/phases.ts';
import { END_PHASES, type Phase, type RolloutRecord } from '../core/records.ts';
import type { TandemEvent } from '../core/status.ts';

/** What a phase means for the pair. */
export type SpanKind = 'work' | 'down' | 'pair' | 'back';

/** One phase, from its beginning to that of the next one. */
export interface PhaseSpan {
  readonly phase: Phase;
  /** Whose turn it is; null where it is the pair's. */
  readonly node: NodeId | null;
  readonly kind: SpanKind;
  /** Milliseconds since the beginning of the rollout. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly text: string;
}

/** Who served, null for nobody; times as in a phase. */
export interface ServiceSpan {
  readonly node: NodeId | null;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Phases in which the pair is not highly available, because a node is down or not admitted. */
const DOWN = /^(RB_)?(DOWN|ACT|TRIAL|SYNC|COMMIT|ADMIT)[12]?$/;
const ENDED_SERVICE = /serves no more$/;

function nodeOf(phase: Phase, first: NodeId): NodeId | null {
  if (phase.endsWith('2')) return peerOf(first);
  return phase.endsWith('1') || phase.startsWith('RB_') ? first : null;
}

function kindOf(phase: Phase): SpanKind {
  if (phase.startsWith('BACK')) return 'back';
  if (DOWN.test(phase)) return 'down';
  return nodeOf(phase, 'A') === null ? 'pair' : 'work';
}

/** The phases of a rollout up to its end, or up to `nowMs` while it runs. */
export function phaseSpans(rollout: RolloutRecord, nowMs: number): readonly PhaseSpan[] {
  const startMs = Date.parse(rollout.startedAt);
  const endAt = endedAt(rollout);
  const endMs = endAt === null ? nowMs : Date.parse(endAt);
  const entries = [...rollout.nodes.A.log, ...rollout.nodes.B.log]
    .map(({ at, phase, text }) => ({ atMs: Date.parse(at), phase, text }))
    // What was checked was checked before the rollout began.
    .filter(({ phase, atMs }) => phase !== 'PRECHECK' && Number.isFinite(atMs) && atMs <= endMs)
    .toSorted((a, b) => a.atMs - b.atMs);
  const begun = [{ atMs: startMs, phase: 'STAGE' as Phase, text: '' }, ...entries];
  const changes = begun.filter(({ phase }, at) => at === 0 || phase !== begun[at - 1]!.phase);
  return changes.flatMap(({ atMs, phase, text }, at) => {
    if (END_PHASES.has(phase) || phase === 'FINALIZE') return [];
    const fromMs = Math.max(0, atMs - startMs);
    const toMs = Math.max(fromMs, (changes[at + 1]?.atMs ?? endMs) - startMs);
    const node = nodeOf(phase, rollout.first);
    return [{ phase, node, kind: kindOf(phase), fromMs, toMs, text }];
  });
}

/**
 * Who served in the time of the rollout, from the events that a node keeps; empty where they do not
 * go back to its beginning. A handover shows as a span of nobody.
 */
export function serviceSpans(
  rollout: RolloutRecord,
  events: readonly TandemEvent[],
  toMs: number,
): readonly ServiceSpan[] {
  const startMs = Date.parse(rollout.startedAt);
  const told = events
    .filter(({ state, node }) => state === 'service' && node !== null)
    .map(({ ts, node, msg }) => ({
      atMs: Date.parse(ts) - startMs,
      node: ENDED_SERVICE.test(msg) ? null : node,
      of: node,
    }))
    .filter(({ atMs }) => Number.isFinite(atMs) && atMs <= toMs)
    .toSorted((a, b) => a.atMs - b.atMs);
  const before = told.filter(({ atMs }) => atMs <= 0).at(-1);
  if (before === undefined) return [];
  const spans: ServiceSpan[] = [];
  let serving = before.node;
  let fromMs = 0;
  for (const { atMs, node, of } of told.filter((one) => one.atMs > 0)) {
    // A node that ends serving after its peer has begun changes nothing.
    const next = node ?? (serving === of ? null : serving);
    if (next === serving) continue;
    spans.push({ node: serving, fromMs, toMs: atMs });
    serving = next;
    fromMs = atMs;
  }
  return [...spans, { node: serving, fromMs, toMs }];
}
