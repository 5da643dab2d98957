/**
 * Direct I/O on a slot: whole chunks, odd tails, limits, errors. May import tap, node: and the
 * driver under test.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { allocateSlab, BlockFile, BLOCK_BYTES } from '../../src/drivers/block-file.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

t.test('whole chunks and an odd tail come back, the rest stays', async (t) => {
  const dir = t.testdir({ slot: Buffer.alloc(16 * BLOCK_BYTES, 0xee) });
  const path = join(dir, 'slot');
  const slab = allocateSlab(8 * BLOCK_BYTES);
  const first = randomBytes(4 * BLOCK_BYTES);
  const tail = randomBytes(2 * BLOCK_BYTES + 17);
  {
    using slot = BlockFile.open(path, 16 * BLOCK_BYTES, { claim: true });
    slab.set(first);
    await slot.writeLater(slab, 0, first.length);
    slab.fill(0xdd).set(tail);
    await slot.writeLater(slab, 4 * BLOCK_BYTES, tail.length);
    await slot.sync();
    slot.read(slab, 0, first.length);
    t.equal(sha256(slab.subarray(0, first.length)), sha256(first));
    slot.read(slab, 4 * BLOCK_BYTES, tail.length);
    t.equal(sha256(slab.subarray(0, tail.length)), sha256(tail));
  }
  const bytes = await readFile(path);
  const padded = Buffer.alloc(3 * BLOCK_BYTES);
  tail.copy(padded);
  t.equal(bytes.length, 16 * BLOCK_BYTES);
  t.ok(bytes.subarray(4 * BLOCK_BYTES, 7 * BLOCK_BYTES).equals(padded), 'padded with zeros');
  t.ok(bytes.subarray(7 * BLOCK_BYTES).every((byte) => byte === 0xee));
});

t.test('a slot that is no whole number of blocks: its tail goes through the cache', async (t) => {
  const sizeBytes = 2 * BLOCK_BYTES + 100;
  const dir = t.testdir({ slot: Buffer.alloc(sizeBytes) });
  const path = join(dir, 'slot');
  const content = randomBytes(sizeBytes);
  const slab = allocateSlab(4 * BLOCK_BYTES);
  {
    using slot = BlockFile.open(path, sizeBytes, { claim: true });
    slab.set(content);
    await slot.writeLater(slab, 0, sizeBytes);
    await slot.sync();
    slab.fill(0);
    slot.read(slab, 0, sizeBytes);
    t.equal(sha256(slab.subarray(0, sizeBytes)), sha256(content));
  }
  t.ok((await readFile(path)).equals(content));
});

t.test('memory that is not aligned falls back to the cache', async (t) => {
  const dir = t.testdir({ slot: Buffer.alloc(4 * BLOCK_BYTES) });
  const path = join(dir, 'slot');
  using slot = BlockFile.open(path, 4 * BLOCK_BYTES, { claim: true });
  const content = randomBytes(2 * BLOCK_BYTES);
  const odd = allocateSlab(4 * BLOCK_BYTES).subarray(1, 1 + 2 * BLOCK_BYTES);
  odd.set(content);
  await slot.writeLater(odd, BLOCK_BYTES, odd.length);
  await slot.sync();
  odd.fill(0);
  slot.read(odd, BLOCK_BYTES, odd.length);
  t.ok(Buffer.from(odd).equals(content));
});

t.test('nothing outside the slot, nothing that is not there', async (t) => {
  const dir = t.testdir({ slot: Buffer.alloc(4 * BLOCK_BYTES), small: 'x' });
  const path = join(dir, 'slot');
  const slab = allocateSlab(BLOCK_BYTES);
  {
    using slot = BlockFile.open(path, 4 * BLOCK_BYTES, { claim: true });
    for (const [offset, length] of [
      [4 * BLOCK_BYTES, 1],
      [3 * BLOCK_BYTES, BLOCK_BYTES + 1],
      [-BLOCK_BYTES, 1],
      [1, 1],
      [0, 0],
    ] as const) {
      await t.rejects(slot.writeLater(slab, offset, length), { code: 'internal.bug' });
      await t.rejects(slot.readLater(slab, offset, length), { code: 'internal.bug' });
      t.throws(() => slot.read(slab, offset, length), { code: 'internal.bug' });
    }
    await writeFile(path, Buffer.alloc(BLOCK_BYTES));
    t.throws(() => slot.read(slab, 2 * BLOCK_BYTES, BLOCK_BYTES), { code: 'slot.io' });
  }
  const claim = { claim: true };
  t.throws(() => BlockFile.open(join(dir, 'none'), 1, claim), { code: 'slot.io' });
  t.throws(() => BlockFile.open(join(dir, 'small'), 2, claim), { code: 'slot.io' });
  t.throws(() => BlockFile.open(dir, 1, claim), { code: 'slot.io' });
  t.throws(() => BlockFile.open('/dev/null', 1, claim), { code: 'slot.io' });
});
