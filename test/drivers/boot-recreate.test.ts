/**
 * A boot state that is lost is made again: from every kind of loss, under power cuts, and never
 * over a copy that this program or a newer one can read. May import tap, node: and the drivers
 * under test.
 */
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  createBoot,
  FileBootChooser,
  openBoot,
  recreateBoot,
} from '../../src/drivers/boot-file.ts';
import {
  BOOT_COUNTER_BYTES,
  BOOT_STATE_BYTES,
  encodeJson,
  readBootFiles,
  saveCounter,
} from '../../src/drivers/boot-loader.ts';
import { newCopies } from '../../src/drivers/two-copy.ts';
import { FakeDisk, KEPT, LOST, PowerCut } from '../memory/disk.ts';

const REMAINS = { slot: 'B', trialId: 4 } as const;
const MADE = { default: 'B', trial: null, trialId: 4, tries: 0, otherOk: false } as const;

/** A boot chooser with trial 3 of slot B armed. */
async function makeBoot(t: Test): Promise<{ readonly dir: string; readonly state: string }> {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A', otherOk: true });
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 3, slot: 'B', tries: 2 });
  return { dir, state: join(dir, 'state') };
}

const LOSSES: Readonly<Record<string, (state: string, dir: string) => Promise<void>>> = {
  rot: (state) => writeFile(state, Buffer.alloc(BOOT_STATE_BYTES, 0xff)),
  zeros: (state) => writeFile(state, Buffer.alloc(BOOT_STATE_BYTES)),
  'another value': (state) => writeFile(state, newCopies(encodeJson({ default: 'C' }))),
  'a file cut short': (state) => truncate(state, 100),
  'an empty file': (state) => truncate(state, 0),
  'a file too long': (state) => writeFile(state, Buffer.alloc(BOOT_STATE_BYTES + 1)),
  'no file': (state) => rm(state),
  'no folder': (_state, dir) => rm(dir, { recursive: true }),
};

for (const [name, lose] of Object.entries(LOSSES)) {
  t.test(`${name}: the state is made again, once`, async (t) => {
    const { dir, state } = await makeBoot(t);
    await lose(state, dir);
    t.equal((await readBootFiles(dir)).state, null, 'lost for the boot loader');
    t.equal(await recreateBoot(dir, REMAINS), true);
    t.match((await readBootFiles(dir)).state, MADE);
    const bytes = await readFile(state);
    t.equal(await recreateBoot(dir, { slot: 'A', trialId: 9 }), false, 'it can be read now');
    t.same(await readFile(state), bytes, 'and is left alone');
    await using chooser = await openBoot(dir);
    await t.rejects(chooser.arm({ id: 4, slot: 'A', tries: 1 }), { code: 'boot.conflict' });
    await chooser.arm({ id: 5, slot: 'A', tries: 1 });
    await chooser.commit(5);
    t.match((await readBootFiles(dir)).state, { default: 'A', trialId: 5, otherOk: true });
  });
}

t.test('one copy is enough: nothing is made again', async (t) => {
  const { dir, state } = await makeBoot(t);
  const good = await readFile(state);
  for (const at of [0, BOOT_STATE_BYTES / 2]) {
    const bytes = Buffer.from(good);
    bytes.fill(0x5a, at, at + BOOT_STATE_BYTES / 2);
    await writeFile(state, bytes);
    t.equal(await recreateBoot(dir, REMAINS), false);
    t.same(await readFile(state), bytes);
  }
});

t.test('both copies are good again afterwards', async (t) => {
  const { dir, state } = await makeBoot(t);
  await LOSSES['rot']?.(state, dir);
  await recreateBoot(dir, REMAINS);
  const made = await readFile(state);
  for (const at of [0, BOOT_STATE_BYTES / 2]) {
    const bytes = Buffer.from(made);
    bytes.fill(0x5a, at, at + BOOT_STATE_BYTES / 2);
    await writeFile(state, bytes);
    t.match((await readBootFiles(dir)).state, MADE, `without the copy at ${at}`);
  }
});

t.test('a number that only the try counter knows is not used again', async (t) => {
  const { dir, state } = await makeBoot(t);
  await saveCounter(dir, { trialId: 7, used: 1 });
  await LOSSES['rot']?.(state, dir);
  await recreateBoot(dir, REMAINS);
  t.match((await readBootFiles(dir)).state, { default: 'B', trialId: 7 });
});

t.test('what a newer program wrote is not lost', async (t) => {
  const dir = t.testdir();
  const bytes = newCopies(encodeJson({ schema: 2, boots: 'C' }));
  await writeFile(join(dir, 'state'), bytes);
  t.equal(await recreateBoot(dir, REMAINS), false);
  t.same(await readFile(join(dir, 'state')), Buffer.from(bytes));
  await using chooser = await openBoot(dir);
  await t.rejects(chooser.read(), { code: 'state.newer_schema' });
});

t.test('a place where nothing can be written', async (t) => {
  const dir = t.testdir({ file: '' });
  await t.rejects(recreateBoot(join(dir, 'file'), REMAINS), { code: 'boot.io' });
  await mkdir(join(dir, 'boot/state'), { recursive: true });
  await t.rejects(recreateBoot(join(dir, 'boot'), REMAINS), { code: 'boot.io' });
});

t.test('power cuts at every write and sync: still lost, or made again', async (t) => {
  let cuts = 0;
  for (let at = 1; ; at += 1) {
    for (const choice of [LOST, KEPT, 1, 2, 3]) {
      const disk = new FakeDisk();
      const open = () =>
        new FileBootChooser({
          state: disk.file('state', BOOT_STATE_BYTES),
          counter: disk.file('counter', BOOT_COUNTER_BYTES),
        });
      disk.cutAt(at);
      try {
        t.equal(await open().recreate(REMAINS), true);
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
      if (!disk.off) return t.equal(cuts, 5 * 4, 'two writes, two syncs');
      cuts += 1;
      disk.powerOn(choice);
      const chooser = open();
      await chooser.recreate(REMAINS);
      t.match((await chooser.read()).state, MADE);
    }
  }
});
