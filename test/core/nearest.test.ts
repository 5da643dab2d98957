/** The nearest known name: what is suggested for a slip, and what is too far for a suggestion. */
import t from 'tap';
import { nearestName } from '../../src/core/nearest.ts';

t.test('a slip finds its name, something else finds none', async (t) => {
  const names = ['status', 'stage', 'job', 'wait', 'policy.order'];
  const found: readonly (readonly [string, string | null])[] = [
    ['status', 'status'],
    ['statsu', 'status'],
    ['stutus', 'status'],
    ['stats', 'status'],
    ['sstatus', 'status'],
    ['STATUS', 'status'],
    ['wiat', 'wait'],
    ['jb', 'job'],
    ['policy.ordr', 'policy.order'],
    ['x', null],
    ['bundle', null],
    ['', null],
    ['s'.repeat(100), null],
  ];
  for (const [word, name] of found) t.equal(nearestName(word, names), name, word);
  t.equal(nearestName('status', []), null);
  t.equal(nearestName('a', ['n'.repeat(100)]), null);
});
