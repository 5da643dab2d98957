/**
 * The boot chooser for GRUB on plain files: its contract, power cuts at every write, the copy that
 * does not count as the only one that is written, and the counter's file in every state. What the
 * formats make of damage is in boot-grub-env.test.ts. May import tap, node: and the drivers.
 */
import { mkdir, open, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { firstBootState } from '../../src/core/boot-change.ts';
import type { BootCounter, BootState } from '../../src/core/boot.ts';
import { GrubBootChooser, openGrubBoot } from '../../src/drivers/boot-grub.ts';
import type { CounterFile, GrubPaths } from '../../src/drivers/boot-grub-disk.ts';
import {
  decodeGrubState,
  encodeGrubCounter,
  encodeGrubState,
  GRUB_COPY_OFFSETS,
  GRUB_NUMBER_MAX,
  GRUB_STATE_BYTES,
  newGrubStates,
} from '../../src/drivers/boot-grub-env.ts';
import { bootChooserContract } from '../contracts/boot-chooser.ts';
import { FakeDisk, KEPT, LOST, PowerCut } from '../memory/disk.ts';

const PARTITION_BYTES = 3 * GRUB_STATE_BYTES;
const [FIRST, SECOND] = GRUB_COPY_OFFSETS;
const NONE: BootCounter = { trialId: 0, used: 0 };
const TRIAL = { id: 7, slot: 'B', tries: 2 } as const;

/** Files as on the disk of a new appliance: state in a larger partition, counter on the FAT. */
async function newFiles(t: Test): Promise<GrubPaths> {
  const dir = t.testdir();
  const paths = { state: join(dir, 'partition'), counter: join(dir, 'tries.env') };
  const partition = Buffer.alloc(PARTITION_BYTES, 0xee);
  partition.set(newGrubStates(firstBootState('A', false)));
  await writeFile(paths.state, partition);
  await writeFile(paths.counter, encodeGrubCounter(NONE));
  return paths;
}

async function openHere(t: Test, paths: GrubPaths): Promise<GrubBootChooser> {
  const chooser = await openGrubBoot(paths);
  t.teardown(() => chooser[Symbol.asyncDispose]());
  return chooser;
}

await bootChooserContract(t, 'for GRUB', async (t) => {
  const paths = await newFiles(t);
  return {
    chooser: await openHere(t, paths),
    saveCounter: (counter) => writeFile(paths.counter, encodeGrubCounter(counter)),
    reopen: () => openHere(t, paths),
  };
});

async function overwrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
}

t.test('a change rewrites the copy that does not count, and nothing else', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  const orders = [
    () => chooser.setOtherOk(true),
    () => chooser.arm(TRIAL),
    () => chooser.commit(7),
    () => chooser.arm({ id: 8, slot: 'A', tries: 9 }),
    () => chooser.revert(8),
  ];
  let before = await readFile(paths.state);
  for (const [index, order] of orders.entries()) {
    await order();
    const after = await readFile(paths.state);
    const target = index % 2 === 0 ? FIRST : SECOND;
    t.equal(decodeGrubState(after.subarray(target))?.seq, index + 3);
    const outside = (bytes: Buffer): Buffer =>
      Buffer.concat([bytes.subarray(0, target), bytes.subarray(target + SECOND)]);
    t.ok(outside(after).equals(outside(before)), 'the other copy and the rest of the partition');
    before = after;
  }
  t.equal(before.length, PARTITION_BYTES);
});

t.test('one copy lost: the other one counts, and the next change mends the lost one', async (t) => {
  for (const lost of GRUB_COPY_OFFSETS) {
    for (const fill of [0x00, 0x23, 0xff]) {
      const paths = await newFiles(t);
      const chooser = await openHere(t, paths);
      await overwrite(paths.state, lost, Buffer.alloc(1024, fill));
      const { state } = await chooser.read();
      t.equal(state.seq, lost === FIRST ? 2 : 1);
      await chooser.setOtherOk(true);
      const bytes = await readFile(paths.state);
      t.match(decodeGrubState(bytes.subarray(lost)), { seq: state.seq + 1, otherOk: true });
    }
  }
});

const copy = (slot: 'A' | 'B'): Uint8Array =>
  encodeGrubState({ ...firstBootState(slot, false), seq: 5 });

t.test('two copies with one number: the first counts, the second is rewritten', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  await overwrite(paths.state, FIRST, copy('B'));
  await overwrite(paths.state, SECOND, copy('A'));
  t.match((await chooser.read()).state, { default: 'B', seq: 5 });
  await chooser.setOtherOk(true);
  const bytes = await readFile(paths.state);
  t.match(decodeGrubState(bytes.subarray(FIRST)), { default: 'B', seq: 5 });
  t.match(decodeGrubState(bytes.subarray(SECOND)), { default: 'B', seq: 6, otherOk: true });
});

t.test('the highest number is never passed', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  const last = encodeGrubState({ ...firstBootState('A', false), seq: GRUB_NUMBER_MAX });
  await overwrite(paths.state, FIRST, last);
  const before = await readFile(paths.state);
  await t.rejects(chooser.setOtherOk(true), { code: 'boot.io' });
  t.equal((await chooser.read()).state.seq, GRUB_NUMBER_MAX);
  t.ok((await readFile(paths.state)).equals(before));
  await t.rejects(chooser.arm({ ...TRIAL, id: GRUB_NUMBER_MAX + 1 }), { code: 'boot.io' });
});

t.test('both copies lost: nothing is written but by `recreate`, once', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  t.equal(await chooser.recreate({ slot: 'B', trialId: 3 }), false, 'nothing is lost');
  await overwrite(paths.state, 0, Buffer.alloc(GRUB_STATE_BYTES));
  await writeFile(paths.counter, encodeGrubCounter({ trialId: 9, used: 1 }));
  const before = await readFile(paths.state);
  await t.rejects(chooser.read(), { code: 'boot.io' });
  await t.rejects(chooser.arm(TRIAL), { code: 'boot.io' });
  await t.rejects(chooser.setOtherOk(true), { code: 'boot.io' });
  t.ok((await readFile(paths.state)).equals(before));
  t.equal(await chooser.recreate({ slot: 'B', trialId: 3 }), true);
  const made = { default: 'B', trial: null, trialId: 9, tries: 0, otherOk: false } as const;
  const bytes = await readFile(paths.state);
  for (const at of GRUB_COPY_OFFSETS) t.match(decodeGrubState(bytes.subarray(at)), made);
  t.equal(await chooser.recreate({ slot: 'A', trialId: 0 }), false);
  await t.rejects(chooser.arm({ ...TRIAL, slot: 'A', id: 9 }), { code: 'boot.conflict' });
  await chooser.arm({ ...TRIAL, slot: 'A', id: 10 });
});

const COUNTER_DAMAGE: Readonly<Record<string, (path: string) => Promise<void>>> = {
  gone: (path) => rm(path),
  empty: (path) => truncate(path, 0),
  'cut short': (path) => truncate(path, 511),
  'too long': (path) => writeFile(path, Buffer.alloc(1024, '#')),
  zeros: (path) => writeFile(path, Buffer.alloc(512)),
  rot: async (path) => {
    const bytes = await readFile(path);
    bytes[bytes.indexOf('n=') + 2]! ^= 1;
    await writeFile(path, bytes);
  },
};

for (const [name, damage] of Object.entries(COUNTER_DAMAGE)) {
  t.test(
    `a counter that is ${name}: made again for the next trial, not for an armed one`,
    async (t) => {
      const paths = await newFiles(t);
      const chooser = await openHere(t, paths);
      await damage(paths.counter);
      t.same((await chooser.read()).counter, NONE);
      await chooser.arm(TRIAL);
      t.same(await readFile(paths.counter), Buffer.from(encodeGrubCounter(NONE)));
      await damage(paths.counter);
      await chooser.arm(TRIAL);
      t.same((await chooser.read()).counter, NONE);
      const sound = await readFile(paths.counter).then(
        (bytes) => bytes.equals(encodeGrubCounter(NONE)),
        () => false,
      );
      t.notOk(sound, 'GRUB may be about to write it');
    },
  );
}

t.test('a counter that cannot be made: no trial is armed', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  await rm(paths.counter);
  await mkdir(join(paths.counter, 'x'), { recursive: true });
  await t.rejects(chooser.arm(TRIAL), { code: 'boot.io' });
  t.match((await chooser.read()).state, { trial: null, trialId: 0 });
  await t.rejects((await openHere(t, { ...paths, counter: '/nowhere/tries.env' })).arm(TRIAL), {
    code: 'boot.io',
  });
});

t.test('a number that GRUB has counted is used up, whatever the state says', async (t) => {
  const paths = await newFiles(t);
  const chooser = await openHere(t, paths);
  await writeFile(paths.counter, encodeGrubCounter({ trialId: 7, used: 2 }));
  await t.rejects(chooser.arm(TRIAL), { code: 'boot.conflict' });
  t.match((await chooser.read()).state, { trial: null, seq: 2 });
  await chooser.arm({ ...TRIAL, id: 8 });
});

t.test('what is no state partition', async (t) => {
  const paths = await newFiles(t);
  await t.rejects(openGrubBoot({ ...paths, state: join(paths.state, 'x') }), { code: 'boot.io' });
  await t.rejects(openGrubBoot({ ...paths, state: t.testdirName }), { code: 'boot.io' });
  await truncate(paths.state, GRUB_STATE_BYTES - 1);
  await t.rejects(openGrubBoot(paths), { code: 'boot.io' });
  t.equal((await stat(paths.state)).size, GRUB_STATE_BYTES - 1);
  const loop = join(t.testdirName, 'loop');
  await symlink(loop, loop);
  await t.rejects(openGrubBoot({ ...paths, state: loop }), { code: 'boot.io' });
});

/** A counter in memory beside a simulated disk. */
function memoryCounter(): CounterFile {
  let bytes: Uint8Array = encodeGrubCounter(NONE);
  return {
    name: 'counter',
    read: async () => Promise.resolve(bytes),
    make: async (made) => void (await Promise.resolve((bytes = made))),
  };
}

async function fakeBoot(): Promise<{ disk: FakeDisk; chooser: () => GrubBootChooser }> {
  const disk = new FakeDisk();
  const state = disk.file('state', GRUB_STATE_BYTES);
  await state.write(0, newGrubStates(firstBootState('A', false)));
  await state.sync();
  const counter = memoryCounter();
  return {
    disk,
    chooser: () => new GrubBootChooser(disk.file('state', GRUB_STATE_BYTES), counter),
  };
}

const SCRIPT: readonly ((chooser: GrubBootChooser) => Promise<void>)[] = [
  (chooser) => chooser.setOtherOk(true),
  (chooser) => chooser.arm({ id: 1, slot: 'B', tries: 2 }),
  (chooser) => chooser.revert(1),
  (chooser) => chooser.arm({ id: 2, slot: 'B', tries: 2 }),
  (chooser) => chooser.commit(2),
];
/** A write and a sync for each change. */
const OPERATIONS = 2 * SCRIPT.length;
const fieldsOf = (state: BootState): string => JSON.stringify({ ...state, seq: 0 });

t.test('power cuts at every write and sync: the old state or the new one', async (t) => {
  const states: string[] = [];
  const { chooser: whole } = await fakeBoot();
  states.push(fieldsOf((await whole().read()).state));
  for (const order of SCRIPT) {
    await order(whole());
    states.push(fieldsOf((await whole().read()).state));
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
      t.ok(states.slice(acknowledged, acknowledged + 2).includes(found), found);
      for (const order of SCRIPT.slice(acknowledged)) await order(chooser());
      t.equal(fieldsOf((await chooser().read()).state), states.at(-1), 'and the rest goes on');
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
