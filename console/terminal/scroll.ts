/**
 * Finds out whether a screen differs from the last one by lines that moved: a list that was
 * scrolled, or that a new line was put into. Always holds: what is found is worth it, since a
 * terminal moves lines for a few bytes and a slow line sends each again for a tenth of a second.
 * Pure; imports nothing.
 */

/** Lines `top` to `bottom`, counted from 0, move up by `by`, or down when it is negative. */
export interface Scroll {
  readonly top: number;
  readonly bottom: number;
  readonly by: number;
}

/** Most lines that move at once; more is another page. */
const BY_MAX = 4;
/** Lines with text that must move along. */
const MOVED_MIN = 4;

/** The move that makes the old lines most like the new ones, or null when none is worth it. */
export function scrollOf(before: readonly string[], after: readonly string[]): Scroll | null {
  if (before.length !== after.length) return null;
  const top = after.findIndex((line, row) => line !== before[row]);
  if (top < 0) return null;
  let best: Scroll | null = null;
  let most = MOVED_MIN - 1;
  for (let size = 1; size <= BY_MAX; size += 1) {
    for (const by of [size, -size]) {
      const bottom = endOf(before, after, top, by);
      const moved = movedLines(before, after, { top, bottom, by });
      if (moved <= most) continue;
      most = moved;
      best = { top, bottom, by };
    }
  }
  return best;
}

/** The last line of the block that moved, beginning with the first one that differs. */
function endOf(
  before: readonly string[],
  after: readonly string[],
  top: number,
  by: number,
): number {
  // Of a block that moves up, the first line is the old one `by` below it; of one that moves down,
  // the first lines are new and the old ones follow.
  const from = by > 0 ? top : top - by;
  let row = from;
  while (row < after.length && row + by < before.length && after[row] === before[row + by]) {
    row += 1;
  }
  return by > 0 ? Math.min(row - 1 + by, after.length - 1) : row - 1;
}

/** Lines with text that need not be sent again, less those that stood right before. */
function movedLines(
  before: readonly string[],
  after: readonly string[],
  { top, bottom, by }: Scroll,
): number {
  let count = 0;
  for (let row = top; row <= bottom; row += 1) {
    const from = row + by;
    const moved = from >= top && from <= bottom && after[row] === before[from];
    if (moved && after[row] !== '' && after[row] !== before[row]) count += 1;
    if (!moved && after[row] === before[row] && after[row] !== '') count -= 1;
  }
  return count;
}
