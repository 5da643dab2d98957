/**
 * The keys of a replacement: a new node gets the place of the peer, the old key is revoked at once
 * in links that run, its owner is told so and remembers it; who runs another version, has a revoked
 * key or comes too late gets nothing.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Runs } from '../../src/core/replace.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { readPairRecord, REVOKED_MAX } from '../../src/drivers/keys.ts';
import { openLiveKeys, assertNotReplaced, markReplaced } from '../../src/drivers/live-keys.ts';
import { openTlsLink, type TlsLink } from '../../src/drivers/link-tls.ts';
import { pairInit, pairJoin, type ReplacePeer } from '../../src/drivers/pairing.ts';

const HERE = { host: '127.0.0.1', port: 0 };
const AT = '2026-01-01T00:00:00.000Z';
const RUNS: Runs = {
  system: { version: '2.0.0', counter: 2 },
  storage: { version: '1.4.0', counter: 7 },
};
const TIMERS = { pingMs: 20, retryMs: 10, retryMaxMs: 20, wrongPeerRetryMs: 20 };

/** Folders of a pair: node B stays, node A is replaced. */
async function paired(t: Test) {
  const dir = t.testdir();
  const dirs = { stays: join(dir, 'b'), old: join(dir, 'a'), next: join(dir, 'a2') };
  const offer = await pairInit({ keysDir: dirs.stays, node: 'B', listen: HERE });
  const { address, code } = offer;
  await pairJoin({ keysDir: dirs.old, node: 'A', address, code });
  await offer.done;
  return dirs;
}

const replace = (more: Partial<ReplacePeer> = {}): ReplacePeer => {
  return { wanted: RUNS, check: () => {}, at: () => AT, ...more };
};

/** Node B waits for a new node A, and the one of this folder comes. */
async function exchange(
  dirs: { readonly stays: string; readonly next: string },
  runs: Runs | undefined,
  more: Partial<ReplacePeer> = {},
) {
  const { stays: keysDir, next } = dirs;
  const offer = await pairInit({ keysDir, node: 'B', listen: HERE, replace: replace(more) });
  const { address, code } = offer;
  const words = { keysDir: next, node: 'A', address, code } as const;
  const joined = pairJoin({ ...words, ...(runs === undefined ? {} : { runs }) });
  const [join, init] = await Promise.allSettled([joined, offer.done]);
  return { join, init };
}

const check = (): never => {
  throw new UpdateError('replace.refused', 'node A answers');
};

/** Resolves when the link looks so. */
async function until(link: TlsLink, good: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => void (good() && resolve());
  link.onChange(look);
  const timer = setInterval(look, 5);
  look();
  await promise;
  clearInterval(timer);
}

t.test('a running link follows, and the old node is told', async (t) => {
  const dirs = await paired(t);
  const keys = await openLiveKeys(dirs.stays);
  const stays = await openTlsLink({ node: 'B', listen: HERE, peer: HERE, keys, timers: TIMERS });
  t.teardown(() => stays[Symbol.asyncDispose]());
  const peer = stays.address()!;
  const open = async (dir: string, onReplaced?: () => void): Promise<TlsLink> => {
    const more = onReplaced === undefined ? {} : { onReplaced };
    const own = await openLiveKeys(dir);
    return openTlsLink({ node: 'A', listen: HERE, peer, keys: own, timers: TIMERS, ...more });
  };
  {
    await using _old = await open(dirs.old);
    await until(stays, () => stays.channels()[0]!.up);
  }
  await until(stays, () => !stays.channels()[0]!.up);
  const before = await readPairRecord(dirs.stays);
  const { join: joined, init } = await exchange(dirs, RUNS);
  t.equal(joined.status, 'fulfilled');
  t.equal(init.status, 'fulfilled');
  const after = await readPairRecord(dirs.stays);
  t.equal(after?.pair, before?.pair, 'the pair stays the same');
  t.strictSame(after?.revoked, [{ spkiSha256: before?.peer.spkiSha256, at: AT }]);

  let told = 0;
  await using old = await open(dirs.old, () => void told++);
  await until(old, () => told > 0);
  t.equal(stays.channels()[0]!.up, false, 'it is not heard');
  t.match(stays.channels()[0]!.error?.message, /of the node that was replaced/);
  t.match(old.channels()[0]!.error, { code: 'pair.replaced' });

  await using next = await open(dirs.next);
  await until(next, () => next.channels()[0]!.up);
  t.equal(keys.peerSpkiSha256, after?.peer.spkiSha256);

  await assertNotReplaced(dirs.old);
  await markReplaced(dirs.old, AT);
  await markReplaced(dirs.old, 'later');
  await t.rejects(assertNotReplaced(dirs.old), { code: 'pair.replaced', message: /2026-01-01/ });
  await assertNotReplaced(dirs.next);

  const back = await exchange({ ...dirs, next: dirs.old }, RUNS);
  t.match(back.join, { reason: { code: 'pair.key_revoked' } });
  t.match(back.init, { reason: { code: 'pair.key_revoked' } });
  t.strictSame(await readPairRecord(dirs.stays), after, 'nothing changed');
});

t.test('the node that stays dials', async (t) => {
  const dirs = await paired(t);
  const keys = await openLiveKeys(dirs.old);
  const stays = dirs.old;
  const offer = await pairInit({ keysDir: stays, node: 'A', listen: HERE, replace: replace() });
  const { address, code } = offer;
  await pairJoin({ keysDir: dirs.next, node: 'B', address, code, runs: RUNS });
  await offer.done;
  let told = 0;
  const onReplaced = (): void => void told++;
  const theirs = await openLiveKeys(dirs.stays);
  const more = { timers: TIMERS, onReplaced };
  await using old = await openTlsLink({
    node: 'B',
    listen: HERE,
    peer: HERE,
    keys: theirs,
    ...more,
  });
  const peer = old.address()!;
  await using dials = await openTlsLink({ node: 'A', listen: HERE, peer, keys, timers: TIMERS });
  await until(old, () => told > 0);
  await until(dials, () => /was replaced/.test(dials.channels()[0]!.error?.message ?? ''));
  t.match(old.channels()[0]!.error, { code: 'pair.replaced' });
});

t.test('another version, or one that does not say it, is refused on both sides', async (t) => {
  const dirs = await paired(t);
  const before = await readPairRecord(dirs.stays);
  const other: Runs = { ...RUNS, system: { version: '1.9.0', counter: 1 } };
  const { join: joined, init } = await exchange(dirs, other);
  const code = 'pair.other_version';
  t.match(joined, { reason: { code, message: /the pair runs 2\.0\.0/ } });
  t.match(init, { reason: { code, message: /runs 1\.9\.0 \(1\) as system, the pair runs 2/ } });
  const storage = await exchange(dirs, { ...RUNS, storage: null });
  t.match(storage.init, { reason: { code, message: /does not say what it runs as storage/ } });
  const silent = await exchange(dirs, undefined);
  t.match(silent.init, { reason: { code, message: /as system/ } });
  t.strictSame(await readPairRecord(dirs.stays), before);
  const free = await exchange(
    dirs,
    { ...RUNS, storage: null },
    { wanted: { ...RUNS, storage: null } },
  );
  t.equal(free.init.status, 'fulfilled', 'what the pair does not know it does not ask for');
});

t.test('the peer is back in the last moment: nothing is revoked', async (t) => {
  const dirs = await paired(t);
  const before = await readPairRecord(dirs.stays);
  const { join: joined, init } = await exchange(dirs, RUNS, { check });
  // The new node has stored the pair before the other one judges for the last time.
  t.match(joined, { reason: { code: 'pair.unconfirmed' } });
  t.match(init, { reason: { code: 'replace.refused', message: 'node A answers' } });
  t.strictSame(await readPairRecord(dirs.stays), before);
});

t.test('the node that has the place already keeps it; revoked keys are bounded', async (t) => {
  const dirs = await paired(t);
  const again = await exchange({ ...dirs, next: dirs.old }, RUNS);
  t.equal(again.init.status, 'fulfilled');
  t.equal((await readPairRecord(dirs.stays))?.revoked, undefined);
  for (let round = 0; round <= REVOKED_MAX; round++) {
    const next = join(dirs.next, String(round));
    const { init } = await exchange({ ...dirs, next }, RUNS, { at: () => `round ${round}` });
    t.equal(init.status, 'fulfilled');
  }
  const { revoked } = (await readPairRecord(dirs.stays))!;
  t.equal(revoked?.length, REVOKED_MAX);
  t.equal(revoked?.at(-1)?.at, `round ${REVOKED_MAX}`, 'the oldest ones went first');
  t.equal(revoked?.[0]?.at, 'round 1');
});
