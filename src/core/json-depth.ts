/**
 * How deep a JSON value from elsewhere is nested. Reading such a text takes no stack, writing the
 * value again does: what was taken from the peer and is kept, sent on or shown must be shallow.
 * Always holds: the check itself goes no deeper than the limit. Pure; imports nothing.
 */

/** Levels of objects and lists that a message of the peer may have; real ones have about ten. */
export const MESSAGE_LEVELS_MAX = 64;

/** Whether objects and lists lie within each other in more levels than that. */
export function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels < 1) return true;
  for (const inner of Object.values(value)) if (deeperThan(inner, levels - 1)) return true;
  return false;
}
