/**
 * Effects as port calls: the write order, slots in use, the way back, a bundle on its way between
 * the nodes, errors as events, and an abort that leaves no verdict. Drivers are in memory. May
 * import tap, core and the module under test.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Slot, SlotClass } from '../../src/core/model.ts';
import type { Job } from '../../src/core/records.ts';
import type { Effect, Event } from '../../src/core/state.ts';
import { Executor } from '../../src/updater/execute.ts';
import {
  BUNDLE,
  BUNDLE_BYTES,
  JOB,
  manifestOf,
  nodeState,
  release,
  rolloutRecord,
  sealOf,
  TRIAL,
} from '../core/states.ts';
import type { StateChange } from '../core/states.ts';
import { makeBootDisk, MemoryBootChooser } from '../memory/boot-chooser.ts';
import { makeDepotDisk, memoryDepot } from '../memory/depot.ts';
import { noFencer } from '../../src/drivers/fence-none.ts';
import { MemoryHooks } from '../memory/hooks.ts';
import { MemoryHost, Rebooted } from '../memory/host.ts';
import { memoryInstaller, type InstallerWorld, type MemoryBundle } from '../memory/installer.ts';
import { MemoryServiceNetwork } from '../memory/service-address.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';
import { MemoryStorageSoftware } from '../memory/storage-software.ts';
import { MemoryStorePair } from '../memory/store.ts';

interface Options {
  readonly state?: StateChange;
  readonly staged?: boolean;
  readonly otherOk?: boolean;
  /** What the installer meets at a place. */
  readonly at?: (place: string) => void;
  readonly bulk?: Map<string, MemoryBundle>;
  readonly capacityBytes?: number;
}

const never = new AbortController().signal;

/** An executor on one node; `order` tells every durable change and every event. */
function harness(options: Options = {}) {
  const order: string[] = [];
  const events: Event[] = [];
  const slotsDisk = makeSlotsDisk({ system: 1000, storage: 1000 });
  for (const cls of ['system', 'storage'] as const) {
    slotsDisk.seals.set(`memory:${cls}-A`, sealOf(cls, 1));
    slotsDisk.content.set(`memory:${cls}-A`, sealOf(cls, 1).imageId);
  }
  const raw = memorySlots(slotsDisk);
  const slots = {
    ...raw,
    invalidate: async (cls: SlotClass, slot: Slot) => {
      order.push(`invalidate ${cls}-${slot}`);
      await raw.invalidate(cls, slot);
    },
    seal: async (cls: SlotClass, slot: Slot, seal: ReturnType<typeof sealOf>) => {
      order.push(`seal ${cls}-${slot}`);
      await raw.seal(cls, slot, seal);
    },
  };
  const bootDisk = makeBootDisk('A');
  if (options.otherOk === true) bootDisk.state = { ...bootDisk.state, otherOk: true };
  const depotDisk = makeDepotDisk(options.capacityBytes ?? 1024 ** 3);
  if (options.staged !== false) {
    const holds = { bundle: BUNDLE, manifest: manifestOf() };
    depotDisk.files.set(`memory:${BUNDLE}.bin`, { bytes: BUNDLE_BYTES, holds });
  }
  const world: InstallerWorld = {
    files: new Map(),
    depot: depotDisk,
    slots: slotsDisk,
    bulk: options.bulk ?? new Map<string, MemoryBundle>(),
    pause: async (place) => {
      await Promise.resolve();
      order.push(place);
      options.at?.(place);
    },
  };
  const network = new MemoryServiceNetwork();
  const store = new MemoryStorePair({ auto: true });
  const images = { A: { release: release('storage', 1) }, B: null };
  const ports = {
    boot: new MemoryBootChooser(bootDisk, (label) => order.push(label)),
    slots,
    store: store.store('A'),
    depot: memoryDepot(depotDisk),
    installer: memoryInstaller(world),
    host: new MemoryHost({ bootId: 'A1', slot: 'A', reason: 'default', attempt: 0 }),
    storage: new MemoryStorageSoftware(images),
    service: network.address('A'),
    hooks: new MemoryHooks(),
    fencer: noFencer(),
  };
  const state = nodeState('A', { rollout: rolloutRecord(), ...options.state });
  const execute = {
    stateDir: '/state',
    depotDir: '/state/depot',
    trustRoot: '/root.json',
    bulk: { host: 'A', port: 4000, keysDir: '/keys' },
    peerHost: 'B',
    rebootMs: 20,
    health: { graceMs: 1, stableMs: 1, roundMs: 1, checkMs: 1000 },
  };
  const executor = new Executor(ports, execute, () => state);
  const dispatch = async (event: Event): Promise<boolean> => {
    await Promise.resolve();
    events.push(event);
    if (event.type !== 'activity') order.push(`event ${event.type}`);
    return true;
  };
  const run = (effect: Effect, signal = never): Promise<void> =>
    executor.run(effect, dispatch, signal);
  return { run, order, events, ports, slotsDisk, bootDisk, depotDisk, network, store };
}

const INSTALL: Effect = { do: 'install', job: JOB };

t.test('the write order: close, invalidate all, write, read back, then seal', async (t) => {
  const h = harness({ otherOk: true });
  await h.run(INSTALL);
  t.strictSame(h.order, [
    'boot chooser: other ok',
    'event boot-state',
    'invalidate system-B',
    'invalidate storage-B',
    'event seals',
    'write system',
    'read back system',
    'write storage',
    'read back storage',
    'seal system-B',
    'seal storage-B',
    'event seals',
    'event installed',
  ]);
  t.strictSame(h.slotsDisk.seals.get('memory:system-B'), sealOf('system', 2));
  t.strictSame(h.slotsDisk.seals.get('memory:storage-B'), sealOf('storage', 2));
  const told = h.events.filter((event) => event.type === 'activity').map((one) => one.activity);
  t.match(told[0], { name: 'installing', job: 'update-1' });
  t.equal(told.at(-1), null, 'nothing is going on at the end');
  h.order.length = 0;
  await h.run(INSTALL);
  t.notOk(h.order.includes('boot chooser: other ok'), 'closed already');
  t.ok(h.order.includes('invalidate system-B'), 'the same effect again does it all again');
});

const system = (slot: Slot): Job => ({ ...JOB, targets: [{ ...JOB.targets[0]!, slot }] });
const storage = (slot: Slot): Job => ({ ...JOB, targets: [{ ...JOB.targets[1]!, slot }] });

t.test('a slot in use is never written', async (t) => {
  const { boot } = nodeState('A').world;
  const trialRecord = { storage: { ...nodeState('A').record.storage, current: 'B' } } as const;
  const rows: readonly [string, Job, StateChange][] = [
    ['the booted system', system('A'), {}],
    ['the default system', system('A'), { world: { boot: { ...boot, slot: 'B' } } }],
    [
      'the system that is booted though not the default',
      system('B'),
      { world: { boot: { ...boot, slot: 'B' } } },
    ],
    ['the storage that runs', storage('A'), {}],
    ['the storage that has to run', storage('B'), { record: trialRecord }],
    [
      'the storage that has to run while none does',
      storage('B'),
      { record: trialRecord, world: { storage: null } },
    ],
  ];
  for (const [name, job, state] of rows) {
    const h = harness({ state });
    await h.run({ do: 'install', job });
    const failed = h.events.at(-1);
    t.match(failed, { type: 'install-failed', reason: { code: 'boot.conflict' } }, name);
    t.strictSame(h.order, ['event seals', 'event install-failed'], `${name}: nothing was written`);
  }
});

t.test('nothing below the floor of this node is written, whoever asks', async (t) => {
  for (const mode of ['install', 'return'] as const) {
    const h = harness({ state: { record: { canRollBack: false, releaseFloor: 3 } } });
    await h.run({ do: 'install', job: { ...JOB, mode } });
    t.match(h.events.at(-1), { reason: { code: 'version.downgrade' } }, mode);
    t.strictSame(h.order, ['event seals', 'event install-failed']);
  }
});

t.test('what fails becomes install-failed, and the slots stay invalid', async (t) => {
  const missing = harness({ staged: false });
  await missing.run(INSTALL);
  t.match(missing.events.at(-1), { type: 'install-failed', reason: { code: 'file.not_found' } });
  t.notOk(missing.order.some((what) => what.startsWith('invalidate')));
  for (const place of ['write system', 'read back system', 'read back storage']) {
    const h = harness({
      at: (where) => {
        if (where === place) throw new UpdateError('slot.readback', 'x'.repeat(5000));
      },
    });
    await h.run(INSTALL);
    const event = h.events.at(-1);
    t.match(event, { type: 'install-failed', job: JOB, reason: { code: 'slot.readback' } }, place);
    t.ok(JSON.stringify(event).length < 3000, 'the reason fits into a record');
    t.notOk(
      h.order.some((what) => what.startsWith('seal')),
      place,
    );
    t.equal(h.slotsDisk.seals.has('memory:system-B'), false, place);
  }
});

t.test('an abort leaves no verdict', async (t) => {
  for (const place of ['write system', 'read back storage']) {
    const abort = new AbortController();
    const h = harness({
      at: (where) => {
        if (where === place) abort.abort();
      },
    });
    await h.run(INSTALL, abort.signal);
    const types = h.events.map((event) => event.type);
    t.notOk(types.includes('installed') || types.includes('install-failed'), place);
    t.equal(types.at(-1), 'seals', 'what the slots hold is told');
  }
  const abort = new AbortController();
  const h = harness();
  const { seal } = h.ports.slots;
  h.ports.slots.seal = async (...args) => {
    await seal(...args);
    abort.abort();
  };
  await h.run(INSTALL, abort.signal);
  t.equal(h.events.at(-1)?.type, 'seals', 'also when it came too late');
});

t.test('return: the other slots are looked at and not written', async (t) => {
  const job: Job = { ...JOB, mode: 'return' };
  const h = harness();
  h.slotsDisk.seals.set('memory:system-B', sealOf('system', 2));
  h.slotsDisk.seals.set('memory:storage-B', sealOf('storage', 2));
  await h.run({ do: 'install', job });
  t.strictSame(h.order, ['event seals', 'event installed']);
  h.slotsDisk.seals.set('memory:storage-B', sealOf('storage', 3));
  await h.run({ do: 'install', job });
  t.match(h.events.at(-1), { reason: { code: 'rollback.unavailable', message: /storage-B/ } });
  h.slotsDisk.seals.delete('memory:system-B');
  await h.run({ do: 'install', job });
  t.match(h.events.at(-1), { reason: { code: 'rollback.unavailable', message: /system-B/ } });
});

t.test('arm, commit, revert, close: once, and the boot chooser is looked at again', async (t) => {
  const h = harness({ otherOk: true });
  await h.run({ do: 'close-other-slot' });
  t.match(h.events.at(-1), { type: 'boot-state', state: { otherOk: false } });
  for (let round = 0; round < 2; round++) await h.run({ do: 'arm', trial: TRIAL });
  t.match(h.events.at(-1), { type: 'boot-state', state: { trial: 'B', trialId: 1, tries: 2 } });
  for (let round = 0; round < 2; round++) await h.run({ do: 'commit', trial: TRIAL });
  t.match(h.events.at(-1), { type: 'boot-state', state: { trial: null, default: 'B' } });
  t.strictSame(
    h.order.filter((what) => what.startsWith('boot')),
    ['boot chooser: other ok', 'boot chooser: arm', 'boot chooser: commit'],
  );
  const count = h.events.length;
  await t.rejects(h.run({ do: 'revert', trial: TRIAL }), { code: 'boot.conflict' });
  t.match(h.events.slice(count), [{ type: 'boot-state', state: { default: 'B' } }]);
});

t.test('commit: the boot chooser first, then the seal, also when the first was done', async (t) => {
  const h = harness();
  h.slotsDisk.seals.set('memory:system-B', sealOf('system', 2));
  await h.run({ do: 'arm', trial: TRIAL });
  h.order.length = 0;
  await h.run({ do: 'commit', trial: TRIAL });
  const whole = ['boot chooser: commit', 'seal system-B', 'event seals', 'event boot-state'];
  t.strictSame(h.order, whole);
  const marked = { ...sealOf('system', 2), committed: TRIAL.id };
  t.strictSame(h.slotsDisk.seals.get('memory:system-B'), marked, 'nothing else changes');
  t.match(h.events.at(-2), { seals: { system: { A: { committed: 0 }, B: { committed: 1 } } } });
  h.order.length = 0;
  await h.run({ do: 'commit', trial: TRIAL });
  t.strictSame(h.order, ['event seals', 'event boot-state'], 'nothing is written twice');
  h.slotsDisk.seals.set('memory:system-B', sealOf('system', 2));
  h.order.length = 0;
  await h.run({ do: 'commit', trial: TRIAL });
  t.strictSame(h.order, whole.slice(1), 'power went between the two');
});

t.test('commit: a seal that cannot be written takes the verdict not back', async (t) => {
  const h = harness();
  h.slotsDisk.seals.set('memory:system-B', sealOf('system', 2));
  await h.run({ do: 'arm', trial: TRIAL });
  h.ports.slots.seal = () => Promise.reject(new UpdateError('slot.io', 'no'));
  await t.rejects(h.run({ do: 'commit', trial: TRIAL }), { code: 'slot.io' });
  t.match(h.events.at(-1), { type: 'boot-state', state: { default: 'B', trial: null } });
});

t.test('commit: what the boot chooser refuses is in no seal', async (t) => {
  const h = harness();
  h.slotsDisk.seals.set('memory:system-B', sealOf('system', 2));
  await t.rejects(h.run({ do: 'commit', trial: TRIAL }), { code: 'boot.conflict' });
  t.equal(h.slotsDisk.seals.get('memory:system-B')?.committed, null);
  t.match(h.events.at(-1), { type: 'boot-state', state: { default: 'A' } }, 'it is looked at');
});

t.test('storage software that ends at once is trouble', async (t) => {
  const h = harness();
  await h.run({ do: 'run-storage', slot: 'A' });
  t.match(h.events.at(-1), { type: 'storage', running: { slot: 'A', release: { counter: 1 } } });
  await t.rejects(h.run({ do: 'run-storage', slot: 'B' }), { code: 'slot.unpack' });
  h.ports.storage.running = () => null;
  await t.rejects(h.run({ do: 'run-storage', slot: 'A' }), { code: 'health.storage' });
  t.match(h.events.at(-1), { type: 'storage', running: null });
});

t.test('serve and release: the store first in, last out', async (t) => {
  const h = harness();
  await h.run({ do: 'serve', epoch: 3 });
  t.strictSame(h.events, [{ type: 'serving', epoch: 3 }]);
  t.equal(h.network.server(), 'A');
  t.match(h.ports.store.status(), { role: 'primary', epoch: 3 });
  await h.run({ do: 'release' });
  t.strictSame(h.events.at(-1), { type: 'serving', epoch: null });
  t.equal(h.network.server(), null);
  t.match(h.ports.store.status(), { role: 'secondary' });
  await t.rejects(h.run({ do: 'serve', epoch: 2 }), { code: 'store.fenced' });
  t.equal(h.network.server(), null, 'without the store there is no service');
});

t.test('reboot: service and storage end before the node does', async (t) => {
  const h = harness();
  await h.run({ do: 'run-storage', slot: 'A' });
  await h.run({ do: 'serve', epoch: 1 });
  await t.rejects(h.run({ do: 'reboot', reason: 'trial 1' }), Rebooted);
  t.equal(h.network.server(), null);
  t.equal(h.ports.storage.running(), null);
  t.strictSame(h.ports.host.reboots, ['trial 1']);
});

t.test('an address that does not go keeps neither the store nor the boot', async (t) => {
  const h = harness();
  await h.run({ do: 'serve', epoch: 3 });
  h.ports.service.release = () => Promise.reject(new UpdateError('service.failed', 'stuck'));
  await t.rejects(h.run({ do: 'release' }), { code: 'service.failed', message: 'stuck' });
  t.match(h.ports.store.status(), { role: 'secondary' });
  t.notOk(h.events.some((event) => event.type === 'serving' && event.epoch === null));
  await t.rejects(h.run({ do: 'reboot', reason: 'trial 1' }), Rebooted);
  t.same([h.ports.host.reboots, h.ports.host.resets], [['trial 1'], []]);
});

const dead = (): Promise<never> => new Promise(() => undefined);

t.test('a restart that hangs ends with the power of the node', async (t) => {
  for (const part of ['release', 'stop', 'reboot'] as const) {
    const h = harness();
    if (part === 'release') h.ports.service.release = dead;
    if (part === 'stop') h.ports.storage.stop = dead;
    if (part === 'reboot') h.ports.host.reboot = dead;
    await t.rejects(h.run({ do: 'reboot', reason: 'trial 1' }), Rebooted, part);
    t.strictSame(h.ports.host.resets, ['trial 1; its restart hung']);
  }
});

t.test('offer and fetch: the bundle reaches the other depot, older ones make room', async (t) => {
  const bulk = new Map<string, MemoryBundle>();
  const here = harness({ bulk });
  const there = harness({ bulk, staged: false });
  const old = 'd'.repeat(64) as typeof BUNDLE;
  const holds = { bundle: old, manifest: manifestOf() };
  there.depotDisk.files.set(`memory:${old}.bin`, { bytes: 5, holds });
  const abort = new AbortController();
  const offered = here.run({ do: 'offer', bundle: BUNDLE }, abort.signal);
  await new Promise(setImmediate);
  t.strictSame(here.events, [{ type: 'bulk', port: 4000 }]);
  bulk.set('B:4000', bulk.get('A:4000')!);
  await there.run({ do: 'fetch', bundle: BUNDLE, bytes: BUNDLE_BYTES, port: 4000 });
  t.match(there.events.at(-1), { type: 'depot', depot: [BUNDLE] });
  t.notOk(there.depotDisk.files.has(`memory:${old}.bin`), 'neither the current nor the next one');
  abort.abort();
  await offered.catch(() => undefined);
  t.strictSame(here.events.at(-1), { type: 'bulk', port: null }, 'no longer offered');
});

t.test('a bundle that is gone, one that does not fit, a peer that does not serve', async (t) => {
  const gone = harness({ staged: false });
  await t.rejects(gone.run({ do: 'offer', bundle: BUNDLE }), { code: 'file.not_found' });
  t.strictSame(gone.events, [{ type: 'depot', depot: [], freeBytes: null }], 'and that is seen');
  const full = harness({ staged: false, capacityBytes: 10 });
  const fetch: Effect = { do: 'fetch', bundle: BUNDLE, bytes: BUNDLE_BYTES, port: 4000 };
  await t.rejects(full.run(fetch), { code: 'space.depot' });
  t.strictSame(full.order, [], 'found before the first byte');
  const alone = harness({ staged: false });
  await t.rejects(alone.run(fetch), { code: 'pair.peer_unreachable' });
});
