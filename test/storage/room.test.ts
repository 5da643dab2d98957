/**
 * A small data partition under the store: clients are refused before the reserve is used, what was
 * granted is written even when another program takes the last byte, and the pair stays level on
 * either node's full disk. Imports tap, the storage and the harness, in a process that may mount.
 */
import { join } from 'node:path';
import t from 'tap';
import { FULL_DISK } from '../contracts/store-faults.ts';
import { canMount, withTmpfs } from '../drivers/small-disk.ts';

const HERE = import.meta.dirname;
const STORAGE = join(HERE, '../../images/storage');
// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir({ one: {}, pair: { A: { 'data-A': {} }, B: { 'data-B': {} } } });
const plan = { skip: canMount() ? false : 'this process may not mount a file system' };
const MIB = 1024 * 1024;

/** Writes until no byte is free; `empty` gives it all back. */
const FILL = `
import { open, rm } from 'node:fs/promises';
async function fill(path) {
  await using file = await open(path, 'a');
  for (let bytes = 1 << 20; bytes >= 512;) {
    try { await file.appendFile(Buffer.alloc(bytes)); } catch { bytes >>= 1; }
  }
}
const empty = (path) => rm(path);
`;

t.test(
  'what was granted is written on a full disk; more is refused until it has room',
  plan,
  (t) => {
    const dir = join(root, 'one');
    const script = `${FILL}
    import { Objects } from '${STORAGE}/objects.ts';
    import { Room, BALLAST_BYTES } from '${STORAGE}/room.ts';
    import { hashOf } from '${STORAGE}/record.ts';
    const dir = process.argv[1];
    using room = await Room.open(dir);
    await using objects = await Objects.open({ dir: dir + '/log', formatLevel: () => 1, room });
    const value = Buffer.alloc(512 * 1024, 'v');
    const run = '0011223344556677';
    let version = 0;
    const put = async (key) => {
      await room.take(value.length + 300);
      version += 1;
      const change = { key, value, hash: hashOf(value), version, run, copy: false };
      return async () => objects.show(await objects.append(change));
    };
    const code = async (work) => work().then(() => 'ok', (error) => error.code);
    const out = {};
    await (await put('first'))();
    const granted = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(put));
    await fill(dir + '/filler');
    out.placed = await Promise.all(granted.map((place) => code(place)));
    out.refused = await code(() => put('more'));
    out.full = room.full;
    out.failure = objects.log.failure;
    out.deleted = await code(async () => {
      version += 1;
      const gone = { key: 'a', value: null, hash: null, version, run, copy: false };
      objects.show(await objects.append(gone));
    });
    await empty(dir + '/filler');
    await room.look();
    out.later = await code(async () => (await put('later'))());
    out.spare = room.spareBytes > 0;
    await fill(dir + '/filler');
    out.ballast = (await room.giveBallast()) && (await room.giveBallast()) === false;
    out.keys = objects.keys('', '', 20).keys;
    console.log(JSON.stringify(out));
  `;
    const { result, stderr } = withTmpfs(dir, 96 * MIB, script, [dir]);
    t.strictSame(
      result,
      {
        placed: ['ok', 'ok', 'ok', 'ok', 'ok'],
        refused: 'store.full',
        full: true,
        failure: null,
        deleted: 'ok',
        later: 'ok',
        spare: true,
        ballast: true,
        keys: ['b', 'c', 'd', 'e', 'first', 'later'],
      },
      stderr,
    );
    t.end();
  },
);

for (const node of ['A', 'B'] as const) {
  t.test(`no byte is free on node ${node} while clients write`, plan, (t) => {
    const dir = join(root, 'pair', node);
    const data = join(dir, `data-${node}`);
    const script = `${FILL}
      import { harnessOf, makeImageDir, makeStoragePair, startLevel } from '${HERE}/pair.ts';
      import { fullDisk } from '${HERE}/../contracts/store-faults.ts';
      const [dir, data] = process.argv.slice(1);
      const image = await makeImageDir(dir + '/image');
      await using pair = await makeStoragePair(dir, image);
      const { a, b } = pair;
      await startLevel(pair);
      const setFull = (_, full) => (full ? fill : empty)(data + '/filler');
      const contract = await fullDisk({ ...harnessOf(pair), setFull }, '${node}');
      const out = { contract, lost: 0, codes: {} };
      a.store.onStatus((s) => {
        if (s.role !== 'primary' || !s.connected || s.frozen) out.lost += 1;
      });
      const value = 'v'.repeat(64 * 1024);
      const acknowledged = new Set();
      let stop = false;
      const writer = async (id) => {
        for (let n = 0; !stop; n += 1) {
          const key = id + '-' + (n % 50);
          try {
            await a.put(key, value + n);
            acknowledged.add(key);
          } catch (error) {
            out.codes[error.code] = true;
          }
        }
      };
      const writers = ['w', 'x', 'y', 'z'].map(writer);
      const full = pair.${node.toLowerCase()}.until((s) => s.full === true);
      while (acknowledged.size < 20) await a.info();
      await fill(data + '/filler');
      await full;
      while (!out.codes['store.full']) await a.info();
      await b.software.health(AbortSignal.timeout(20000)).catch((error) => {
        out.health = error.message;
      });
      stop = true;
      await Promise.all(writers);
      out.level = [a.store.status().peer, b.store.status().local];
      await a.call({ op: 'delete', key: [...acknowledged][0] });
      acknowledged.delete([...acknowledged][0]);
      await empty(data + '/filler');
      await pair.${node.toLowerCase()}.until((s) => s.full === false);
      for (let tries = 0; tries < 200; tries += 1) {
        const done = await a.put('after', 'room').then(() => true, () => false);
        if (done) break;
        await a.software.health(AbortSignal.timeout(20000));
      }
      acknowledged.add('after');
      out.after = [await a.get('after'), await b.get('after')];
      const { id } = await a.call({ op: 'verify' });
      const end = await a.until((s) => s.verify?.id === id && s.verify.state !== 'running');
      out.verify = end.verify.state;
      const keys = new Set(await b.keys());
      out.missing = [...acknowledged].filter((key) => !keys.has(key)).length;
      console.log(JSON.stringify(out));
    `;
    const { result, stderr } = withTmpfs(data, 128 * MIB, script, [dir, data]);
    t.strictSame(
      result,
      {
        contract: FULL_DISK,
        lost: 0,
        codes: { 'store.full': true },
        level: ['current', 'current'],
        after: ['room', 'room'],
        verify: 'equal',
        missing: 0,
      },
      stderr,
    );
    t.end();
  });
}
