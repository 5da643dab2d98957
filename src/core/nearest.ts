/**
 * The nearest known name to a mistyped one, for "did you mean": command line verbs, options and
 * settings. Always holds: a suggestion is one of the known names. Pure; imports nothing.
 */

/**
 * The known name with the fewest edits from `word` (insert, delete or replace
 * one character, exchange two neighbours), or null
 * when even the best one differs in more than a third of its letters. Names and words of more than
 * 64 characters are never compared.
 */
export function nearestName(word: string, names: Iterable<string>): string | null {
  if (word.length > 64) return null;
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestEdits = Infinity;
  for (const name of names) {
    if (name.length > 64) continue;
    const edits = editDistance(wanted, name.toLowerCase());
    if (edits < bestEdits) {
      best = name;
      bestEdits = edits;
    }
  }
  if (best === null) return null;
  return bestEdits <= Math.max(1, Math.floor(Math.max(best.length, word.length) / 3)) ? best : null;
}

function editDistance(a: string, b: string): number {
  let older: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      let edits = Math.min(replace, previous[column]! + 1, current[column - 1]! + 1);
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1] && column > 1 && row > 1) {
        edits = Math.min(edits, older[column - 2]! + 1);
      }
      current.push(edits);
    }
    older = previous;
    previous = current;
  }
  return previous[b.length]!;
}
