import { play } from './play.ts';
const c = new Map<string, number>();
for (let s = 1; s < 120; s++) {
  const seen = new Set<string>();
  try {
    play(s, (l) => {
      if (/reason /.test(l)) {
        const w = l.replace(/.*reason /, '').replace(/\d+/g, 'N');
        if (!seen.has(w)) {
          seen.add(w);
          c.set(w, (c.get(w) ?? 0) + 1);
        }
      }
    });
  } catch {}
}
console.log(
  [...c]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 30)
    .map(([k, v]) => v + ' ' + k)
    .join('\n'),
);
