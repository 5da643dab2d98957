/**
 * Idempotency keys at the door: the same request again, another request, two at once, a refusal,
 * and a daemon that ends at each moment in between.
 */
import t from 'tap';
import { keyOfHeader, memoryBook, printOf, type KeyBook } from '../../src/control/repeats.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { openDesk, PASSWORD } from '../daemon/access-bench.ts';
import { openBench, raw, until, type Bench, type RawAnswer } from './harness.ts';
import { wrongWith } from './description.ts';

const COMMIT = '{"kind":"commit"}';
const UPDATE = '{"kind":"update","source":{"path":"/a.bin"}}';

async function keyed(
  bench: Bench,
  path: string,
  body: string,
  key: string,
  caller = 'anna',
): Promise<RawAnswer> {
  const headers = { 'idempotency-key': key, 'x-tandem-caller': caller };
  const answer = await raw(bench, 'POST', path, body, headers);
  t.strictSame(wrongWith('POST', path, answer), []);
  return answer;
}

const replayed = ({ headers }: RawAnswer): boolean => headers['idempotency-replayed'] === 'true';

t.test('the same key with the same request: the same job, also after a restart', async (t) => {
  await using bench = await openBench({ book: memoryBook() });
  const { backend } = bench;
  const first = await keyed(bench, '/v1/jobs', UPDATE, 'k1');
  t.equal(first.status, 202);
  t.notOk(replayed(first));
  const again = await keyed(bench, '/v1/jobs', UPDATE, '"k1"');
  t.equal(again.status, 202);
  t.ok(replayed(again));
  t.strictSame(again.body, first.body);
  const { id } = first.body as unknown as { id: string };
  backend.put({ id, state: 'done', exit: 0 });
  await bench.stop();
  await bench.start();
  const ordered = '{ "source": { "path": "/a.bin" }, "kind": "update" }';
  const later = await keyed(bench, '/v1/jobs', ordered, 'k1');
  t.match(later.body, { id, state: 'done' }, 'as it is now');
  t.equal(backend.asked.length, 1, 'the daemon was asked once');
  const other = await keyed(bench, '/v1/jobs', COMMIT, 'k1');
  t.equal(other.status, 422);
  t.equal(other.body.error?.code, 'request.key_reused');
  const ben = await keyed(bench, '/v1/jobs', COMMIT, 'k1', 'ben');
  t.notOk(replayed(ben), 'the key of somebody else is another one');
});

t.test('every other change answers as the first time', async (t) => {
  const desk = await openDesk();
  t.teardown(() => desk[Symbol.asyncDispose]());
  await using bench = await openBench({ desk: desk.desk });
  const { backend } = bench;
  backend.put({ id: 'r1' });
  const archive = backend.supports.archives[0]!.name;
  const user = { do: 'add', name: 'anna', role: 'viewer', password: PASSWORD };
  for (const [path, body, status] of [
    ['/v1/jobs/r1/cancel', '{"reason":"x"}', 202],
    ['/v1/acts', '{"act":"switchover"}', 200],
    ['/v1/settings', '{"key":"idleMin","value":"5"}', 200],
    [`/v1/support/${archive}/delete`, '{}', 200],
    ['/v1/users', JSON.stringify(user), 200],
  ] as const) {
    const first = await keyed(bench, path, body, 'one-key-each');
    t.equal(first.status, status, path);
    const asked = backend.asked.length;
    backend.refusal = new UpdateError('job.busy', 'would be refused now');
    const again = await keyed(bench, path, body, 'one-key-each');
    t.ok(replayed(again), path);
    t.strictSame(again.body, first.body);
    t.equal(backend.asked.length, asked);
    backend.refusal = null;
    const other = await keyed(bench, '/v1/jobs', COMMIT, 'one-key-each');
    t.equal(other.body.error?.code, 'request.key_reused', 'also on another path');
    await bench.stop();
    await bench.start();
  }
});

t.test('two at once are one; a refusal leaves the key free', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const gate = Promise.withResolvers<void>();
  backend.beforeStart = () => gate.promise;
  const both = [keyed(bench, '/v1/jobs', COMMIT, 'k'), keyed(bench, '/v1/jobs', COMMIT, 'k')];
  const third = keyed(bench, '/v1/jobs', UPDATE, 'k');
  t.equal((await third).status, 422, 'another request meanwhile');
  gate.resolve();
  const [one, two] = await Promise.all(both);
  t.strictSame(one?.body, two?.body);
  t.equal(backend.asked.length, 1);
  backend.refusal = new UpdateError('job.busy', 'r7 runs');
  t.equal((await keyed(bench, '/v1/jobs', COMMIT, 'k2')).status, 409);
  backend.refusal = null;
  const free = await keyed(bench, '/v1/jobs', UPDATE, 'k2');
  t.equal(free.status, 202);
  t.notOk(replayed(free));
});

t.test('a client that leaves does not stop what it asked for', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const gate = Promise.withResolvers<void>();
  backend.beforeStart = () => gate.promise;
  const { dial } = await import('./harness.ts');
  const socket = await dial(bench);
  const head = `host: x\r\nidempotency-key: k\r\nx-tandem-caller: anna`;
  socket.write(`POST /v1/jobs HTTP/1.1\r\n${head}\r\ncontent-length: 17\r\n\r\n${COMMIT}`);
  await until(() => backend.asked.length === 1);
  socket.destroy();
  gate.resolve();
  const again = await keyed(bench, '/v1/jobs', COMMIT, 'k');
  t.ok(replayed(again));
  t.equal(backend.asked.length, 1);
});

/** A book of which only the begin of a change is left, as after the end of the daemon. */
function interrupted(job: string | null, path: string, body: string): KeyBook {
  const book = memoryBook();
  const print = printOf('POST', path, JSON.parse(body));
  void book.put({ scope: 'control anna', key: 'k', print, job, answer: null });
  return book;
}

t.test('a daemon that ended in between', async (t) => {
  const begun = await openBench({ book: interrupted('update-7', '/v1/jobs', UPDATE) });
  begun.backend.put({ id: 'update-7', kind: 'update' });
  const found = await keyed(begun, '/v1/jobs', UPDATE, 'k');
  t.match(found.body, { id: 'update-7' });
  t.ok(replayed(found));
  t.equal(begun.backend.asked.length, 0);
  await begun[Symbol.asyncDispose]();

  const never = await openBench({ book: interrupted('update-7', '/v1/jobs', UPDATE) });
  t.notOk(replayed(await keyed(never, '/v1/jobs', UPDATE, 'k')), 'it never began');
  t.equal(never.backend.asked.length, 1);
  await never[Symbol.asyncDispose]();

  for (const [path, body, job] of [
    ['/v1/acts', '{"act":"switchover"}', null],
    ['/v1/jobs', '{"kind":"restart"}', 'restart-1'],
  ] as const) {
    const unknown = await openBench({ book: interrupted(job, path, body) });
    const refused = await keyed(unknown, path, body, 'k');
    t.equal(refused.status, 409);
    t.equal(refused.body.error?.code, 'request.interrupted');
    t.equal(unknown.backend.asked.length, 0, 'a second switchover would take the first one back');
    await unknown[Symbol.asyncDispose]();
  }
});

t.test('an update that was lost with its daemon is begun again', async (t) => {
  await using bench = await openBench({ book: memoryBook() });
  const { backend } = bench;
  await keyed(bench, '/v1/jobs', UPDATE, 'k');
  backend.jobTable.clear();
  t.notOk(replayed(await keyed(bench, '/v1/jobs', UPDATE, 'k')));
  const restart = '{"kind":"restart"}';
  const first = await keyed(bench, '/v1/jobs', restart, 'k2');
  backend.jobTable.clear();
  const again = await keyed(bench, '/v1/jobs', restart, 'k2');
  t.ok(replayed(again), 'a restart that is forgotten is not done again');
  t.strictSame(again.body, first.body);
});

t.test('a key that is none is refused; where nothing changes it is of no account', async (t) => {
  await using bench = await openBench();
  for (const key of ['', 'a b', '"a', 'x'.repeat(65), 'a,b', '\u00e4']) {
    const headers = { 'idempotency-key': key };
    const answer = await raw(bench, 'POST', '/v1/jobs', COMMIT, headers);
    t.equal(answer.status, 400, key);
    t.match(answer.body.error?.message, /Idempotency-Key is .*accepted: 1 to 64/);
  }
  t.equal(bench.backend.asked.length, 0);
  for (let count = 0; count < 2; count++) {
    const answer = await keyed(bench, '/v1/validate', '{"path":"/a"}', 'k');
    t.notOk(replayed(answer));
  }
  t.equal(keyOfHeader(['a', 'b'].slice(0, 1)), 'a');
});
