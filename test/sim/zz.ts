import { play } from './play.ts';
import { add, noTally, words } from './tally.ts';
const [from, n, tr] = process.argv.slice(2).map(Number);
const sum = noTally();
const t0 = process.cpuUsage();
let bad = 0;
for (let s = from!; s < from! + n!; s++) {
  try {
    const t1 = process.cpuUsage().user;
    add(sum, play(s, tr ? (l) => console.log(l) : null));
    const d = (process.cpuUsage().user - t1) / 1000;
    if (d > 400) console.log('slow', s, d | 0, 'ms');
  } catch (e) {
    bad++;
    if (bad < 9)
      console.log((e as Error).message.slice(0, 1500), tr ? (e as any).cause?.stack : '');
  }
}
console.log(words(sum).join('\n'));
console.log(bad, 'bad', (process.cpuUsage(t0).user / 1000 / n!).toFixed(1), 'ms per seed');
