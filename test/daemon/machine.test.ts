/**
 * The drivers that a configuration chooses: those of a real machine on files in place of its
 * devices, from the text of the file to an armed trial, and those of a process.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseConfig, type Config } from '../../src/config.ts';
import type { BootInfo } from '../../src/core/boot.ts';
import {
  bootOf,
  openHostOf,
  openServiceOf,
  openSlotsOf,
  type MachineParts,
} from '../../src/daemon/machine.ts';
import { createBoot } from '../../src/drivers/boot-file.ts';
import { createSlots } from '../../src/drivers/slots-file.ts';
import { sealOf, SLOT_SIZES } from '../contracts/slots.ts';
import { addDisk, SLOT_PARTITIONS, treeRoots } from '../drivers/device-tree.ts';
import { makeMachineTree } from '../drivers/machine-tree.ts';
import { fakeIp } from '../drivers/two-namespaces.ts';
import { MemoryServiceNetwork } from '../memory/service-address.ts';

const BOOT: BootInfo = { bootId: 'boot-1', slot: 'B', reason: 'default', attempt: 0 };
const PARTITIONS = [['tandem-state', 1024 * 1024], ...SLOT_PARTITIONS] as const;

/** A configuration of a real machine in `dir`; `sections` take the place of its own. */
async function configOf(dir: string, sections: object = {}, service: object = {}): Promise<Config> {
  const machine = {
    slots: { driver: 'partition' },
    boot: { driver: 'grub', counter: 'fat/tries.env' },
    host: { driver: 'machine', watchdog: 'dev/watchdog' },
  };
  const text = JSON.stringify({
    node: 'A',
    product: 'appliance',
    hardware: 'rev1',
    stateDir: 'state',
    runDir: '/run/tandem-test',
    rootDir: 'root',
    link: { listen: '10.9.0.1:7701', peer: '10.9.0.2:7701' },
    storage: { listen: '10.9.0.1:7702', peer: '10.9.0.2:7702' },
    service: { address: '10.9.1.50:8080', program: 'x.js', interface: 'eth0', ...service },
    ...machine,
    ...sections,
  });
  return await parseConfig(text, join(dir, 'tandem.jsonc'));
}

async function makeMachine(t: Test) {
  const dir = t.testdir({ state: { logs: {} }, fat: {} });
  await addDisk(dir, 'vda', PARTITIONS);
  const tree = await makeMachineTree(dir, BOOT);
  t.teardown(() => tree[Symbol.dispose]());
  const workloads = new MemoryServiceNetwork();
  const asked: string[] = [];
  const parts: MachineParts = {
    roots: { ...tree.roots, ...treeRoots(dir) },
    ip: await fakeIp(dir, 'addresses'),
    startWorkload: ({ address, program }) => {
      asked.push(`${program} on ${address}`);
      return workloads.address('A');
    },
  };
  return { dir, tree, parts, workloads, asked };
}

t.test('a real machine, from its file to an armed trial', async (t) => {
  const { dir, tree, parts, asked, workloads } = await makeMachine(t);
  const config = await configOf(dir);
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const host = await openHostOf(config, log, parts);
  t.same(host.boot(), BOOT);
  t.match(lines, [/^watchdog .*30 s$/]);
  host.feedWatchdog();
  t.equal(tree.fed(), '1');

  const slots = await openSlotsOf(config, host.boot().slot, parts);
  const { path, sizeBytes } = slots.device('system', 'A');
  t.same([path, sizeBytes], [join(dir, 'dev/vda5'), SLOT_SIZES.system]);
  await slots.invalidate('system', 'A');
  await t.rejects(slots.invalidate('system', 'B'), { code: 'boot.conflict' });
  await slots.seal('system', 'A', { ...sealOf('2.0.0'), committed: null });

  const { open, recreate } = bootOf(config, parts);
  {
    await using lost = await open();
    await t.rejects(lost.read(), { code: 'boot.io' });
  }
  t.equal(await recreate({ slot: 'B', trialId: 4 }), true);
  t.equal(await recreate({ slot: 'A', trialId: 9 }), false);
  {
    await using boot = await open();
    await boot.setOtherOk(true);
    await boot.arm({ id: 5, slot: 'A', tries: 2 });
  }
  await using boot = await open();
  t.match((await boot.read()).state, { default: 'B', trial: 'A', trialId: 5, tries: 2 });
  t.equal((await readFile(join(dir, 'fat/tries.env'))).length, 512, 'GRUB has its counter');

  await writeFile(join(dir, 'addresses'), 'eth0 10.9.1.50/32\n');
  const service = await openServiceOf(config, join(dir, 'state/logs'), log, parts);
  t.same(asked, [`${join(dir, 'root/x.js')} on 10.9.1.50:8080`]);
  t.match(lines[1], /of an earlier run/);
  await service.acquire(1, AbortSignal.timeout(20_000));
  t.equal(await readFile(join(dir, 'addresses'), 'utf8'), 'eth0 10.9.1.50/32\n');
  t.equal(workloads.server(), 'A');
  await service[Symbol.asyncDispose]();
  t.equal(await readFile(join(dir, 'addresses'), 'utf8'), '');
});

t.test('the disk that is named, and one that is not there', async (t) => {
  const { dir, parts } = await makeMachine(t);
  await addDisk(dir, 'vdb', PARTITIONS);
  const slots = (disk: object) => configOf(dir, { slots: { driver: 'partition', ...disk } });
  const both = { code: 'slot.io', message: /name the disk in slots.disk/ };
  await t.rejects(openSlotsOf(await slots({}), 'A', parts), both);
  await t.rejects(bootOf(await slots({}), parts).open(), both);
  const second = await slots({ disk: '/dev/vdb' });
  const opened = await openSlotsOf(second, 'A', parts);
  t.equal(opened.device('storage', 'B').path, join(dir, 'dev/vdb8'));
  t.equal(await bootOf(second, parts).recreate({ slot: 'A', trialId: 0 }), true);
  t.not((await readFile(join(dir, 'dev/vdb4')))[0], 0);
  t.equal((await readFile(join(dir, 'dev/vda4')))[0], 0);
  await t.rejects(openSlotsOf(await slots({ disk: '/dev/vdc' }), 'A', parts), { code: 'slot.io' });
});

t.test('a workload whose address cannot be managed is ended', async (t) => {
  const { dir, parts, workloads } = await makeMachine(t);
  let ended = 0;
  const workload = workloads.address('A');
  workload[Symbol.asyncDispose] = async () => void (await Promise.resolve((ended += 1)));
  const without: MachineParts = { ...parts, ip: ['/nowhere/ip'], startWorkload: () => workload };
  const opened = openServiceOf(await configOf(dir), dir, () => undefined, without);
  await t.rejects(opened, { code: 'tool.missing' });
  t.equal(ended, 1);
});

t.test('a process on files', async (t) => {
  const { dir, parts, asked } = await makeMachine(t);
  const files = { slots: {}, boot: {}, host: {} };
  const config = await configOf(dir, files, { interface: undefined });
  await mkdir(config.stateDir, { recursive: true });
  await createSlots(config.slots.dir, SLOT_SIZES);
  await createBoot(config.boot.dir, { default: 'B' });
  const slots = await openSlotsOf(config, 'B');
  t.equal(slots.device('system', 'A').path, join(dir, 'state/slots/system-A.img'));
  const { open, recreate } = bootOf(config);
  t.equal(await recreate({ slot: 'A', trialId: 0 }), false);
  {
    await using boot = await open();
    t.match((await boot.read()).state, { default: 'B', trialId: 0 });
  }
  await rm(join(config.boot.dir, 'state'));
  t.equal(await recreate({ slot: 'A', trialId: 7 }), true);
  const service = await openServiceOf(config, dir, () => undefined, parts);
  await service.acquire(1, AbortSignal.timeout(20_000));
  t.equal(asked.length, 1);
  t.equal(await readFile(join(dir, 'addresses'), 'utf8'), '', 'its address is there all the time');
  // A test runs under no supervisor.
  await t.rejects(
    openHostOf(config, () => undefined),
    { code: 'config.invalid' },
  );
});
