/**
 * The boot chooser in files: its contract, every damage to its two copies, power cuts at every
 * write, and what the boot loader makes of it. May import tap, node: and the drivers under test.
 */
import { open, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { BootState } from '../../src/core/boot.ts';
import {
  createBoot,
  FileBootChooser,
  firstContent,
  openBoot,
} from '../../src/drivers/boot-file.ts';
import {
  BOOT_COUNTER_BYTES,
  BOOT_STATE_BYTES,
  encodeCounter,
  NO_COUNTER,
  readBootFiles,
  saveCounter,
} from '../../src/drivers/boot-loader.ts';
import { COPY_BYTES } from '../../src/drivers/two-copy.ts';
import { bootChooserContract } from '../contracts/boot-chooser.ts';
import { bootFrom, makeBootDisk, MemoryBootChooser } from '../memory/boot-chooser.ts';
import { FakeDisk, KEPT, LOST, PowerCut } from '../memory/disk.ts';

await bootChooserContract(t, 'in memory', async () => {
  const disk = makeBootDisk('A');
  return Promise.resolve({
    chooser: new MemoryBootChooser(disk),
    saveCounter: async (counter) => void (await Promise.resolve((disk.counter = counter))),
    reopen: async () => Promise.resolve(new MemoryBootChooser(disk)),
  });
});

await bootChooserContract(t, 'in files', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  const reopen = async (): Promise<FileBootChooser> => {
    const chooser = await openBoot(dir);
    t.teardown(() => chooser[Symbol.asyncDispose]());
    return chooser;
  };
  return { chooser: await reopen(), saveCounter: (counter) => saveCounter(dir, counter), reopen };
});

/** Writes over bytes of a file. */
async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
}

async function makeBoot(t: import('tap').Test): Promise<{ dir: string; state: string }> {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  return { dir, state: join(dir, 'state') };
}

t.test('a boot chooser is laid out once, with its space allocated', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'B', otherOk: true });
  await t.rejects(createBoot(dir, { default: 'A' }), { code: 'boot.conflict' });
  t.match(await readBootFiles(dir), {
    state: { default: 'B', trial: null, trialId: 0, otherOk: true },
    counter: { trialId: 0, used: 0 },
  });
  const found = await stat(join(dir, 'state'));
  t.equal(found.size, BOOT_STATE_BYTES);
  t.ok(found.blocks * 512 >= found.size);
});

t.test('no directory, and files that are none', async (t) => {
  const dir = t.testdir({ state: { file: '' } });
  await t.rejects(openBoot(join(dir, 'none')), { code: 'boot.io' });
  await t.rejects(openBoot(dir), { code: 'boot.io' });
  t.same(await readBootFiles(dir), { state: null, counter: null });
});

t.test('every byte of the newest copy: damage falls back to the other one', async (t) => {
  const { dir, state } = await makeBoot(t);
  const good = await readFile(state);
  // The trial was armed by the third write, which went to the first copy.
  const length = good.subarray(0, COPY_BYTES).findLastIndex((byte) => byte !== 0) + 1;
  let fellBack = 0;
  for (let offset = 0; offset < length; offset += 1) {
    for (const mask of [0x01, 0x80, 0xff]) {
      await overwrite(state, offset, Uint8Array.of(good[offset]! ^ mask));
      const { state: found } = await readBootFiles(dir);
      if (found?.seq === 2 && found.trial === null) fellBack += 1;
    }
    await overwrite(state, offset, good.subarray(offset, offset + 1));
  }
  t.equal(fellBack, 3 * length, 'no damaged byte goes unnoticed');
  t.match((await readBootFiles(dir)).state, { seq: 3, trial: 'B' });
});

t.test('damage to one copy is mended by the next write', async (t) => {
  for (const copy of [0, 1]) {
    const { dir, state } = await makeBoot(t);
    await overwrite(state, copy * COPY_BYTES, Buffer.alloc(512, 0x5a));
    await using chooser = await openBoot(dir);
    const { seq } = (await chooser.read()).state;
    await chooser.setOtherOk(true);
    await chooser.setOtherOk(false);
    await overwrite(state, (1 - copy) * COPY_BYTES, Buffer.alloc(512, 0x5a));
    t.match((await chooser.read()).state, { otherOk: true, seq: seq + 1 });
  }
});

t.test('both copies lost: the system says so and writes nothing', async (t) => {
  const lost: readonly (readonly [string, (state: string) => Promise<void>])[] = [
    ['zeros', (state) => overwrite(state, 0, Buffer.alloc(BOOT_STATE_BYTES))],
    ['rot', (state) => overwrite(state, 0, Buffer.alloc(BOOT_STATE_BYTES, 0xff))],
    ['cut short', (state) => truncate(state, 100)],
  ];
  for (const [name, damage] of lost) {
    const { dir, state } = await makeBoot(t);
    await damage(state);
    const before = await readFile(state);
    await using chooser = await openBoot(dir);
    await t.rejects(chooser.read(), { code: 'boot.io' }, name);
    await t.rejects(chooser.arm({ id: 2, slot: 'B', tries: 1 }), { code: 'boot.io' }, name);
    await t.rejects(chooser.commit(1), { code: 'boot.io' }, name);
    t.same(await readFile(state), before, name);
    t.equal((await readBootFiles(dir)).state, null, name);
  }
});

t.test('a lost counter: made again for the next trial, never for an armed one', async (t) => {
  const { dir } = await makeBoot(t);
  const counter = join(dir, 'counter');
  await rm(counter);
  await using chooser = await openBoot(dir);
  t.equal((await readBootFiles(dir)).counter, null, 'the boot loader sees that it is lost');
  t.same((await chooser.read()).counter, NO_COUNTER);
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  t.equal((await readBootFiles(dir)).counter, null, 'the trial is armed already');
  await chooser.revert(1);
  await chooser.arm({ id: 2, slot: 'B', tries: 2 });
  t.same((await readBootFiles(dir)).counter, NO_COUNTER);
});

t.test('the counter on a disk that does not take it', async (t) => {
  const { dir } = await makeBoot(t);
  await rm(join(dir, 'counter'));
  await t.rejects(saveCounter(dir, { trialId: 1, used: 1 }), { code: 'boot.io' });
});

/** A simulated disk with the boot chooser of a new appliance. */
async function fakeBoot(): Promise<{ disk: FakeDisk; chooser: () => FileBootChooser }> {
  const disk = new FakeDisk();
  const files = () => ({
    state: disk.file('state', BOOT_STATE_BYTES),
    counter: disk.file('counter', BOOT_COUNTER_BYTES),
  });
  const { state, counter } = files();
  await state.write(0, firstContent('A', false));
  await counter.write(0, encodeCounter(NO_COUNTER));
  await state.sync();
  await counter.sync();
  return { disk, chooser: () => new FileBootChooser(files()) };
}

const SCRIPT: readonly ((chooser: FileBootChooser) => Promise<void>)[] = [
  (chooser) => chooser.setOtherOk(true),
  (chooser) => chooser.arm({ id: 1, slot: 'B', tries: 2 }),
  (chooser) => chooser.revert(1),
  (chooser) => chooser.arm({ id: 2, slot: 'B', tries: 2 }),
  (chooser) => chooser.commit(2),
];

/** Writes and syncs of the script: two per change, and a sync of what `arm` reads first. */
const OPERATIONS = 2 * SCRIPT.length + 2;

const fieldsOf = (state: BootState): object => ({ ...state, seq: 0 });

t.test('power cuts at every write and sync: the old state or the new one', async (t) => {
  const states: object[] = [];
  const { chooser: first } = await fakeBoot();
  states.push(fieldsOf((await first().read()).state));
  for (const order of SCRIPT) {
    const chooser = first();
    await order(chooser);
    states.push(fieldsOf((await chooser.read()).state));
  }
  let cuts = 0;
  for (let at = 1; ; at += 1) {
    for (const choice of [LOST, KEPT, 1, 2, 3, 4]) {
      const { disk, chooser } = await fakeBoot();
      disk.cutAt(at);
      let acknowledged = 0;
      try {
        const running = chooser();
        for (const order of SCRIPT) {
          await order(running);
          acknowledged += 1;
        }
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
      if (!disk.off) return t.equal(cuts, 6 * OPERATIONS, 'every operation was cut');
      cuts += 1;
      disk.powerOn(choice);
      const found = fieldsOf((await chooser().read()).state);
      const accepted = states.slice(acknowledged, acknowledged + 2);
      t.ok(
        accepted.some((state) => JSON.stringify(state) === JSON.stringify(found)),
        `${disk.trace.at(-1)}: ${JSON.stringify(found)}`,
      );
      for (const order of SCRIPT.slice(acknowledged)) await order(chooser());
      t.same(fieldsOf((await chooser().read()).state), states.at(-1), 'and the rest goes on');
    }
  }
});

t.test('a disk that fails: boot.io, and the order again succeeds', async (t) => {
  for (const at of [1, 2]) {
    const { disk, chooser } = await fakeBoot();
    const running = chooser();
    disk.failAt(at);
    await t.rejects(running.arm({ id: 1, slot: 'B', tries: 2 }), { code: 'boot.io' });
    await running.read();
    await running.arm({ id: 1, slot: 'B', tries: 2 });
    disk.powerOff();
    disk.powerOn(LOST);
    t.match((await chooser().read()).state, { trial: 'B', trialId: 1 }, 'durable in the end');
  }
});

t.test('the boot loader in memory counts like the one of files', async (t) => {
  const disk = makeBootDisk('A');
  const chooser = new MemoryBootChooser(disk);
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  t.match(
    [bootFrom(disk), bootFrom(disk), bootFrom(disk)],
    [
      { slot: 'B', reason: 'trial', attempt: 1 },
      { slot: 'B', reason: 'trial', attempt: 2 },
      { slot: 'A', reason: 'attempts-used', attempt: 0 },
    ],
  );
});
