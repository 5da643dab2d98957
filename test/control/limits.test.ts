/**
 * What one client may have at once: requests per second, open requests, memory of clients. Virtual
 * time for the rate; the door itself for codes and headers.
 */
import t from 'tap';
import { LimitBook } from '../../src/control/limits.ts';
import { openBench, raw, until } from './harness.ts';
import { wrongWith } from './description.ts';

const LIMITS = { requestsMax: 100, clientMax: 3, burst: 10, perSecond: 2 };

/** How many requests are let through of so many. */
function through(book: LimitBook, name: string, count: number): number {
  let good = 0;
  for (let asked = 0; asked < count; asked++) {
    try {
      book.of(name)[Symbol.dispose]();
      good++;
    } catch (error) {
      t.match(error, { code: 'daemon.rate_limited', detail: { waitS: 1 } });
    }
  }
  return good;
}

t.test('a burst, then so many per second, for each client by itself', async (t) => {
  let ms = 0;
  const book = new LimitBook(LIMITS, () => ms);
  t.equal(through(book, 'a', 50), 10);
  t.equal(through(book, 'b', 3), 3, 'another client');
  ms += 1000;
  t.equal(through(book, 'a', 50), 2);
  ms += 250;
  t.equal(through(book, 'a', 5), 0);
  ms += 250;
  t.equal(through(book, 'a', 5), 1);
  ms += 3_600_000;
  t.equal(through(book, 'a', 50), 10, 'a pause gives back no more than a burst');
});

t.test('open requests of one client, and of all', async (t) => {
  const book = new LimitBook(LIMITS, () => 0);
  const open = [book.of('a'), book.of('a'), book.of('a')];
  t.throws(() => book.of('a'), {
    code: 'daemon.busy',
    message: '3 requests of a are open already',
  });
  book.of('b')[Symbol.dispose]();
  open[0]![Symbol.dispose]();
  book.of('a')[Symbol.dispose]();
  const all = Array.from({ length: 100 }, () => book.begin());
  t.throws(() => book.begin(), { code: 'daemon.busy' });
  all[5]![Symbol.dispose]();
  book.begin();
});

t.test('clients that are gone are forgotten, and not those with open requests', async (t) => {
  const book = new LimitBook({ ...LIMITS, burst: 1 }, () => 0);
  const kept = book.of('kept');
  for (let count = 0; count < 3000; count++) book.of(`c${count}`)[Symbol.dispose]();
  t.throws(() => book.of('kept'), { code: 'daemon.rate_limited' });
  kept[Symbol.dispose]();
  t.doesNotThrow(() => book.of('c1'), 'forgotten');
});

t.test('at the door', async (t) => {
  await using bench = await openBench({ limits: { burst: 3, perSecond: 0.001, clientMax: 2 } });
  const ask = (caller: string) =>
    raw(bench, 'GET', '/v1/status', '', { 'x-tandem-caller': caller });
  for (let count = 0; count < 3; count++) t.equal((await ask('loop')).status, 200);
  const refused = await ask('loop');
  t.equal(refused.status, 429);
  t.equal(refused.headers['retry-after'], '1');
  t.match(refused.body.error, { code: 'daemon.rate_limited', next: /follow the events/ });
  t.strictSame(wrongWith('GET', '/v1/status', refused), []);
  t.equal((await ask('other')).status, 200);
  const gate = Promise.withResolvers<void>();
  bench.backend.gate = gate.promise;
  const slow = () =>
    raw(bench, 'POST', '/v1/validate', '{"path":"/a"}', { 'x-tandem-caller': 'x' });
  const open = [slow(), slow()];
  await until(() => bench.backend.asked.length === 2);
  const third = await slow();
  t.equal(third.status, 503);
  t.equal(third.body.error?.message, '2 requests of control x are open already');
  gate.resolve();
  for (const one of open) t.equal((await one).status, 200);
});
