/**
 * Pairing of two nodes: the good way, codes that are wrong, used up or expired, nodes that cannot
 * be a pair, and a crash at each point between the two writes. May import tap, node: and the
 * drivers.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createKeys, loadKeys } from '../../src/drivers/keys.ts';
import { openTlsLink } from '../../src/drivers/link-tls.ts';
import { encodeCode, newSecret } from '../../src/drivers/pair-code.ts';
import { pairInit, pairJoin } from '../../src/drivers/pairing.ts';
import type { PairInit, PairInitOptions, PairResult } from '../../src/drivers/pairing.ts';
import { untilUp } from '../contracts/peer-link.ts';

const listen = { host: '127.0.0.1', port: 0 };

/** A pairing that waits; it is cancelled when the test ends. */
async function waiting(t: Test, options: Partial<PairInitOptions>): Promise<PairInit> {
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const keysDir = join(t.testdirName, 'a');
  return pairInit({ keysDir, node: 'A', listen, signal: stop.signal, ...options });
}

const joinAt = (t: Test, init: PairInit, code = init.code, name = 'b'): Promise<PairResult> =>
  pairJoin({ keysDir: join(t.testdirName, name), node: 'B', address: init.address, code });

const recordOf = async (t: Test, name: string): Promise<unknown> =>
  JSON.parse(await readFile(join(t.testdirName, name, 'pair.json'), 'utf8'));

await t.test('two nodes become a pair, and their link comes up', async (t) => {
  t.testdir();
  const init = await waiting(t, {});
  t.match(init, { validMs: 600_000, tries: 5, address: { host: '127.0.0.1' } });
  const [atB, atA] = await Promise.all([joinAt(t, init), init.done]);
  const [a, b] = [
    await loadKeys(join(t.testdirName, 'a')),
    await loadKeys(join(t.testdirName, 'b')),
  ];
  t.equal(a.pair, b.pair);
  t.same(atA, { pair: a.pair, node: 'A', peer: { node: 'B', spkiSha256: b.spkiSha256 } });
  t.same(atB, { pair: a.pair, node: 'B', peer: { node: 'A', spkiSha256: a.spkiSha256 } });
  t.same([a.peerSpkiSha256, b.peerSpkiSha256], [b.spkiSha256, a.spkiSha256]);
  for (const name of ['a', 'b']) {
    const dir = join(t.testdirName, name);
    t.equal((await stat(dir)).mode & 0o777, 0o700);
    t.equal((await stat(join(dir, 'pair.json'))).mode & 0o777, 0o600);
  }
  await using linkB = await openTlsLink({ node: 'B', keys: b, listen, peer: listen });
  await using linkA = await openTlsLink({ node: 'A', keys: a, listen, peer: linkB.address()! });
  await Promise.all([untilUp(linkA, true), untilUp(linkB, true)]);
});

await t.test('either node may wait, and doing it again keeps the pair', async (t) => {
  t.testdir();
  const dirA = join(t.testdirName, 'a');
  const first = await waiting(t, { node: 'B', keysDir: join(t.testdirName, 'b') });
  const options = { keysDir: dirA, node: 'A', address: first.address, code: first.code } as const;
  const pair = (await pairJoin(options)).pair;
  await first.done;
  const before = [await recordOf(t, 'a'), await recordOf(t, 'b')];
  const second = await waiting(t, {});
  t.not(second.code, first.code);
  t.equal((await joinAt(t, second)).pair, pair);
  await second.done;
  t.same([await recordOf(t, 'a'), await recordOf(t, 'b')], before);
});

await t.test('a wrong code costs a try; five kill the code, the right one too', async (t) => {
  t.testdir();
  const init = await waiting(t, {});
  for (let n = 0; n < 5; n += 1) {
    await t.rejects(joinAt(t, init, encodeCode(newSecret())), { code: 'pair.code_wrong' });
  }
  await t.rejects(init.done, { code: 'pair.code_wrong', message: /5 wrong codes/ });
  await t.rejects(joinAt(t, init), { code: 'pair.peer_unreachable' }, 'nobody waits any more');
  t.notOk(existsSync(join(t.testdirName, 'a/pair.json')));
  t.notOk(existsSync(join(t.testdirName, 'b/pair.json')));

  const again = await waiting(t, {});
  for (let n = 0; n < 4; n += 1) {
    await t.rejects(joinAt(t, again, encodeCode(newSecret())), { code: 'pair.code_wrong' });
  }
  await t.rejects(joinAt(t, again, init.code), { code: 'pair.code_wrong' }, 'the old code');
  await t.rejects(again.done, { code: 'pair.code_wrong' });
  const last = await waiting(t, {});
  await t.rejects(joinAt(t, last, init.code), { code: 'pair.code_wrong' });
  await joinAt(t, last);
  await last.done;
});

await t.test('a code expires on the monotonic clock', async (t) => {
  t.testdir();
  let nowMs = 5_000;
  const monotonicMs = (): number => nowMs;
  const init = await waiting(t, { monotonicMs });
  nowMs += 599_999;
  await t.rejects(joinAt(t, init, encodeCode(newSecret())), { code: 'pair.code_wrong' });
  nowMs += 1;
  await t.rejects(joinAt(t, init), { code: 'pair.code_wrong' });
  await t.rejects(init.done, { code: 'pair.code_wrong', message: /within 600 s/ });
  t.notOk(existsSync(join(t.testdirName, 'b/pair.json')));

  const unattended = await waiting(t, { validMs: 20 });
  await t.rejects(unattended.done, { code: 'pair.code_wrong' }, 'without any join as well');
});

await t.test('a typing error is told before anything is sent', async (t) => {
  t.testdir();
  const init = await waiting(t, {});
  const typo = init.code.endsWith('0')
    ? init.code.slice(0, -1) + '1'
    : init.code.slice(0, -1) + '0';
  await t.rejects(joinAt(t, init, typo), { code: 'pair.code_malformed' });
  t.notOk(existsSync(join(t.testdirName, 'b')));
  await joinAt(t, init);
  t.ok(await init.done);
});

await t.test('two nodes join at once: one of them is paired', async (t) => {
  t.testdir();
  const init = await waiting(t, {});
  const results = await Promise.allSettled(
    ['b', 'other'].map((name) => joinAt(t, init, init.code, name)),
  );
  const good = results.filter((r) => r.status === 'fulfilled');
  t.equal(good.length, 1);
  const { code } = results.find((r) => r.status === 'rejected')!.reason as { code: string };
  t.ok(['pair.code_wrong', 'pair.peer_unreachable'].includes(code), code);
  const winner = results[0]?.status === 'fulfilled' ? 'b' : 'other';
  const { peer } = await init.done;
  t.equal(peer.spkiSha256, (await createKeys(join(t.testdirName, winner), 'B')).spkiSha256);
  t.notOk(existsSync(join(t.testdirName, winner === 'b' ? 'other' : 'b', 'pair.json')));
});

await t.test('two nodes with the same id cannot be a pair', async (t) => {
  t.testdir();
  const init = await waiting(t, { node: 'B' });
  await t.rejects(joinAt(t, init), { code: 'pair.same_node' });
  await t.rejects(init.done, { code: 'pair.same_node' });
  t.notOk(existsSync(join(t.testdirName, 'a/pair.json')));
  t.notOk(existsSync(join(t.testdirName, 'b/pair.json')));
});

await t.test('a paired node takes no other peer', async (t) => {
  t.testdir();
  const first = await waiting(t, {});
  await joinAt(t, first);
  await first.done;
  const before = [await recordOf(t, 'a'), await recordOf(t, 'b')];
  const already = { code: 'pair.already_paired' };

  const init = await waiting(t, {});
  await t.rejects(joinAt(t, init, init.code, 'c'), already, 'a stranger with the right code');
  await t.rejects(init.done, already);
  t.notOk(existsSync(join(t.testdirName, 'c/pair.json')));

  const strange = await waiting(t, { keysDir: join(t.testdirName, 'd') });
  await t.rejects(joinAt(t, strange), already, 'a paired node at a stranger');

  await t.rejects(waiting(t, { node: 'B' }), already, 'under another node id');
  t.same([await recordOf(t, 'a'), await recordOf(t, 'b')], before);
});

await t.test('a crash between the two writes: doing it again makes the pair', async (t) => {
  t.testdir();
  const init = await waiting(t, {});
  // A folder of that name is in the way, so this node cannot store what the other one has stored.
  const inTheWay = join(t.testdirName, 'a/pair.json');
  await mkdir(inTheWay);
  await t.rejects(joinAt(t, init), { code: 'pair.unconfirmed' });
  await t.rejects(init.done, { code: 'state.io' });
  await rm(inTheWay, { recursive: true });
  const stored = await recordOf(t, 'b');
  await t.rejects(loadKeys(join(t.testdirName, 'a')), { code: 'pair.not_paired' });

  // With the roles exchanged, and then as before.
  const swapped = await waiting(t, { node: 'B', keysDir: join(t.testdirName, 'b') });
  await pairJoin({
    keysDir: join(t.testdirName, 'a'),
    node: 'A',
    address: swapped.address,
    code: swapped.code,
  });
  await swapped.done;
  t.same(await recordOf(t, 'b'), stored, 'the pair id that existed is kept');
  t.match(await recordOf(t, 'a'), { pair: (stored as PairResult).pair });

  await rm(inTheWay);
  const again = await waiting(t, {});
  await joinAt(t, again);
  await again.done;
  t.same(await recordOf(t, 'b'), stored);
  t.match(await recordOf(t, 'a'), { pair: (stored as PairResult).pair });
});

await t.test('cancelled, in use, unreachable', async (t) => {
  t.testdir();
  const stop = new AbortController();
  const init = await waiting(t, { signal: stop.signal });
  await t.rejects(waiting(t, {}), { code: 'state.locked' }, 'one pairing of a node at a time');
  stop.abort();
  await t.rejects(init.done, { code: 'pair.cancelled' });
  await t.rejects(waiting(t, { signal: stop.signal }), { code: 'pair.cancelled' });
  await t.rejects(joinAt(t, init), { code: 'pair.peer_unreachable' });

  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = { host: '127.0.0.1', port: (silent.address() as AddressInfo).port };
  const taken = { code: 'link.listen_failed' };
  await t.rejects(waiting(t, { listen: address }), taken, 'the address is in use');
  const leave = new AbortController();
  silent.once('connection', () => leave.abort());
  const options = { keysDir: join(t.testdirName, 'b'), node: 'B', code: init.code } as const;
  await t.rejects(pairJoin({ ...options, address, signal: leave.signal }), {
    code: 'pair.cancelled',
  });
  silent.close();
  const next = await waiting(t, {});
  await joinAt(t, next);
  t.ok(await next.done, 'every lock was given back');
});
