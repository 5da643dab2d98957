/**
 * What it means when a hook refuses, by the point at which it is asked. Always holds: a refusal
 * before an update has begun is told by another code than one that ends an update on its way, so a
 * script knows by the exit status whether a node was touched. Pure; imports only types of core.
 */
import type { Code } from './codes.ts';

/** At these points nothing has begun: no slot is written, and the job ends with the refusal. */
const BEFORE_POINTS: ReadonlySet<string> = new Set(['check', 'pre-prepare']);
/** At these points nothing can be refused any more: each hook runs, whatever one says. */
const TELLING_POINTS: ReadonlySet<string> = new Set(['on-fail', 'notify']);

/** The code of a refusal at a point: `hook.refused` while nothing has begun, else `hook.veto`. */
export function refusalCode(point: string): Extract<Code, 'hook.refused' | 'hook.veto'> {
  return BEFORE_POINTS.has(point) ? 'hook.refused' : 'hook.veto';
}

/** Whether hooks of this point are only told, and run all. */
export const isTellingPoint = (point: string): boolean => TELLING_POINTS.has(point);
