/**
 * One piece of work at a time, and a bounded number that waits. May import tap and the room.
 */
import t from 'tap';
import { Queue } from '../../src/access/queue.ts';

t.test('one at a time, in order, and a failure stops nothing', async (t) => {
  const queue = new Queue();
  const told: string[] = [];
  const work =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      told.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      told.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const all = await Promise.allSettled([
    queue.run(work('a')),
    queue.run(work('b', true)),
    queue.run(work('c')),
  ]);
  t.strictSame(
    all.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  t.strictSame(told, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

t.test('too many are refused, and who has no limit is not', async (t) => {
  const queue = new Queue();
  const gate = Promise.withResolvers<void>();
  const open = [queue.run(() => gate.promise, 2), queue.run(() => gate.promise, 2)];
  await t.rejects(
    queue.run(() => gate.promise, 2),
    { code: 'daemon.busy' },
  );
  open.push(queue.run(() => gate.promise));
  gate.resolve();
  await Promise.all(open);
  t.equal(await queue.run(() => Promise.resolve(1), 1), 1, 'and there is room again');
});
