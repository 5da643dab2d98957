/**
 * What each effect does in the simulated world, step by step, in the order of src/updater
 * (execute.ts, let-go.ts, health.ts): between two steps time passes, other things happen, and power
 * may go. Always holds: nothing here decides; it does what was asked for and tells what it found.
 * Only tests import it.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId, Slot } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { Job, Reason } from '../../src/core/records.ts';
import type { Effect, Event } from '../../src/core/state.ts';
import type { Pace } from './agenda.ts';
import { seal, type Appliance } from './appliance.ts';
import type { Running, Work } from './effects.ts';
import type { PairOptions } from './fixture.ts';
import type { Storage } from './storage.ts';

/** What is wrong with the fencer of a node. */
export type FencerFault =
  /** It says no, and the peer stays on. */
  | 'fails'
  /** It does not know, and the peer stays on. */
  | 'gone'
  /** It cuts the power, and its answer is lost. */
  | 'mute'
  /** It cuts the power, and its answer comes when the peer may be back for long. */
  | 'slow';

/** The power switch that a node has for its peer. */
export interface SimFencer {
  fault: FencerFault | null;
  /** Its self-test passes. */
  tested: boolean;
}

/** The world as the effects of one node reach it. */
export interface EffectWorld {
  readonly options: PairOptions;
  readonly pace: Pace;
  readonly storage: Storage;
  readonly fencers: Record<NodeId, SimFencer>;
  /** Epoch for which a node holds the service address, or null. */
  readonly address: Record<NodeId, number | null>;
  /** The storage slot whose software runs on a node, or null. */
  readonly software: Record<NodeId, Slot | null>;
  /** This node serves bundles to its peer. */
  readonly bulk: Record<NodeId, boolean>;
  readonly storageRunsWith: string;
  fences: number;
  /** A fault that strikes by chance, of this kind. */
  readonly strikes: (fault: 'storage-start' | 'health' | 'demotion' | 'installer') => boolean;
  readonly wired: () => boolean;
  readonly send: (node: NodeId, event: Event) => void;
  /** Tells an event a moment later, if this life of the node still goes on then. */
  readonly later: (node: NodeId, event: Event) => void;
  readonly reboot: (node: NodeId) => void;
  readonly cutPower: (node: NodeId, why: 'fence' | 'reset') => void;
}

/** Rounds of health checks that must be good. */
const HEALTH_ROUNDS = 3;
/** How long a demotion may take before the node cuts its own power. */
const DEMOTION_MS = 5000;
const FOREVER_MS = 1e12;

type Of<K extends Effect['do']> = Effect & { readonly do: K };

/** Carries out one effect of a node. */
export function execute(w: EffectWorld, a: Appliance, running: Running): Work {
  const { effect } = running;
  switch (effect.do) {
    case 'run-storage':
      return runStorage(w, a, effect, running);
    case 'serve':
      return serve(w, a, effect, running);
    case 'release':
      return release(w, a);
    case 'go-alone':
      return goAlone(w, a, effect);
    case 'fence':
      return fence(w, a, effect);
    case 'raise-format':
      return raiseFormat(w, a, effect);
    case 'fetch':
      return fetch(w, a, effect, running);
    case 'offer':
      return offer(w, a, effect, running);
    case 'install':
      return install(w, a, effect.job, running);
    case 'arm':
      return chooser(w, a, () => a.arm(effect.trial));
    case 'commit':
      return chooser(w, a, () => a.commit(effect.trial));
    case 'revert':
      return chooser(w, a, () => a.revert(effect.trial.id));
    case 'close-other-slot':
      return chooser(w, a, () => a.setOtherOk(false));
    case 'reboot':
      return reboot(w, a);
    case 'check-health':
      return checkHealth(w, a, effect, running);
    case 'watch-service':
      return watchService(w, a, running);
  }
}

function* runStorage(w: EffectWorld, a: Appliance, effect: Of<'run-storage'>, r: Running): Work {
  if (w.software[a.id] !== null) {
    w.software[a.id] = null;
    w.storage.run(a.id, false);
  }
  r.soft = true;
  yield w.pace.ms(0, 20, 1500);
  const found = a.disk.seals.storage[effect.slot];
  if (found === null) throw new Error(`node ${a.id} runs an invalid storage slot`);
  if (w.strikes('storage-start')) {
    throw new UpdateError('health.storage', 'the storage software ended right after its start');
  }
  w.software[a.id] = effect.slot;
  w.storage.run(a.id, true);
  w.send(a.id, { type: 'storage', running: { slot: effect.slot, release: found.release } });
}

function* serve(w: EffectWorld, a: Appliance, effect: Of<'serve'>, r: Running): Work {
  yield w.pace.ms(0, 1, 300);
  w.storage.store.promote(a.id, effect.epoch);
  yield w.pace.ms(0, 1, 300);
  if (r.aborted) throw new UpdateError('service.failed', 'the address is not wanted any more');
  w.address[a.id] = effect.epoch;
  w.send(a.id, { type: 'serving', epoch: effect.epoch });
}

/** A demotion that hangs ends with the node's own power, unless nothing could acknowledge. */
function* release(w: EffectWorld, a: Appliance): Work {
  yield w.pace.ms(0, 1, 200);
  w.address[a.id] = null;
  if (w.strikes('demotion')) {
    yield DEMOTION_MS;
    if (w.storage.latest[a.id].role === 'primary') return w.cutPower(a.id, 'reset');
    throw new UpdateError('service.failed', 'the service is not let go yet');
  }
  yield w.pace.ms(0, 1, 300);
  w.storage.store.demote(a.id);
  w.send(a.id, { type: 'serving', epoch: null });
}

function* goAlone(w: EffectWorld, a: Appliance, effect: Of<'go-alone'>): Work {
  yield w.pace.ms(0, 1, 200);
  w.storage.store.goAlone(a.id, effect.epoch);
}

/** Off counts only with proof; the peer may be on again before the proof arrives. */
function* fence(w: EffectWorld, a: Appliance, { since }: Of<'fence'>): Work {
  const { fault } = w.fencers[a.id];
  yield w.pace.ms(0, 10, 4000);
  if (fault === 'fails')
    throw new UpdateError('fence.failed', 'the peer could not be switched off');
  if (fault === 'gone') throw new UpdateError('fence.unknown', 'the fencer does not answer');
  w.fences++;
  w.cutPower(peerOf(a.id), 'fence');
  yield fault === 'slow' ? w.pace.ms(0, 4000, 25_000) : w.pace.ms(0, 1, 6000);
  if (fault === 'mute') throw new UpdateError('fence.unknown', 'the answer of the fencer is lost');
  w.send(a.id, { type: 'peer-off', word: 'fence', since });
}

function* raiseFormat(w: EffectWorld, a: Appliance, effect: Of<'raise-format'>): Work {
  yield w.pace.ms(0, 1, 200);
  w.storage.store.finalizeFormat(a.id);
  w.send(a.id, { type: 'format-raised', rollout: effect.rollout });
}

function* fetch(w: EffectWorld, a: Appliance, effect: Of<'fetch'>, r: Running): Work {
  for (let part = 0; part < (w.pace.chance ? 4 : 1); part++) {
    r.soft = true;
    yield w.pace.ms(0, 10, 1200);
    if (!w.wired() || !w.bulk[peerOf(a.id)]) {
      throw new UpdateError('pair.peer_unreachable', 'the peer does not serve the bundle');
    }
  }
  const { depot } = a.disk;
  if (!depot.includes(effect.bundle)) a.mark('depot', () => depot.push(effect.bundle));
  w.send(a.id, { type: 'depot', depot: [...depot], freeBytes: null });
}

function* offer(w: EffectWorld, a: Appliance, effect: Of<'offer'>, r: Running): Work {
  if (!a.disk.depot.includes(effect.bundle)) {
    w.send(a.id, { type: 'depot', depot: [...a.disk.depot], freeBytes: null });
    throw new UpdateError('file.not_found', 'the bundle is not in the depot any more');
  }
  try {
    w.bulk[a.id] = true;
    w.send(a.id, { type: 'bulk', port: 1 });
    r.soft = true;
    yield FOREVER_MS;
  } finally {
    w.bulk[a.id] = false;
    w.later(a.id, { type: 'bulk', port: null });
  }
}

function* install(w: EffectWorld, a: Appliance, job: Job, r: Running): Work {
  let reason: Reason | null = null;
  try {
    if (a.faults.installFails === a.id) {
      throw new UpdateError('slot.io', `node ${a.id} cannot write its slot`);
    }
    if (job.mode === 'return') checkReturn(a, job);
    else yield* writeSlots(w, a, job, r);
  } catch (error) {
    if (!(error instanceof UpdateError)) throw error;
    reason = { code: error.code, message: error.message };
  }
  w.send(a.id, { type: 'seals', seals: a.seals() });
  if (r.aborted) return;
  if (reason === null) w.send(a.id, { type: 'installed', job });
  else w.send(a.id, { type: 'install-failed', job, reason });
}

function checkReturn(a: Appliance, job: Job): void {
  for (const { class: cls, slot, release } of job.targets) {
    if (a.disk.seals[cls][slot]?.release.counter === release.counter) continue;
    throw new UpdateError('rollback.unavailable', `slot ${cls}-${slot} holds something else`);
  }
}

/** Close, invalidate, write, read back, seal; what runs is never a target. */
function* writeSlots(w: EffectWorld, a: Appliance, job: Job, r: Running): Work {
  const { disk } = a;
  if (!disk.depot.includes(job.bundle)) {
    throw new UpdateError('file.not_found', 'the bundle is not staged');
  }
  for (const { class: cls, slot } of job.targets) {
    const used = cls === 'system' ? [a.info?.slot, disk.boot.default] : [w.software[a.id]];
    if (used.includes(slot))
      throw new UpdateError('boot.conflict', `slot ${cls}-${slot} is in use`);
  }
  if (disk.boot.otherOk) {
    a.setOtherOk(false);
    w.send(a.id, { type: 'boot-state', state: disk.boot });
  }
  for (const { class: cls, slot } of job.targets) {
    a.mark('unseal', () => (disk.seals[cls][slot] = null));
  }
  w.send(a.id, { type: 'seals', seals: a.seals() });
  for (const target of job.targets) {
    r.soft = true;
    yield w.pace.ms(w.options.installMs ?? 0, 10, 3000);
    a.mark('content', () => undefined);
    if (w.strikes('installer')) throw new UpdateError('slot.io', `${target.class}: i/o error`);
  }
  for (const { class: cls, slot, release } of job.targets) {
    const runsWith = cls === 'storage' ? w.storageRunsWith : '>=1.0.0';
    a.mark('seal', () => (disk.seals[cls][slot] = seal(cls, release.counter, runsWith)));
  }
}

/** A change of the boot chooser; whoever finds it in another state looks at it again. */
function* chooser(w: EffectWorld, a: Appliance, change: () => void): Work {
  yield w.pace.ms(0, 1, 100);
  try {
    change();
  } catch (error) {
    if (error instanceof UpdateError) w.send(a.id, { type: 'boot-state', state: a.disk.boot });
    throw error;
  }
  w.send(a.id, { type: 'seals', seals: a.seals() });
  w.send(a.id, { type: 'boot-state', state: a.disk.boot });
}

function* reboot(w: EffectWorld, a: Appliance): Work {
  yield w.pace.ms(0, 1, 300);
  w.address[a.id] = null;
  yield w.pace.ms(0, 1, 500);
  w.reboot(a.id);
}

function* checkHealth(w: EffectWorld, a: Appliance, effect: Of<'check-health'>, r: Running): Work {
  const trialId = effect.trial.id;
  for (let good = 0; good < HEALTH_ROUNDS;) {
    if (good > 0 || w.pace.chance) {
      r.soft = true;
      yield w.pace.ms(100, 50, 600);
    }
    const verdict = a.health();
    const proven = a.state?.record.storage.trial?.proven ?? true;
    if (verdict?.storage === null && !proven) w.send(a.id, { type: 'storage-proven', trialId });
    const flaky = w.strikes('health');
    const reason = flaky ? FLAKY : (verdict?.storage ?? verdict?.system ?? null);
    if (verdict !== undefined && reason !== null) {
      return w.send(a.id, { type: 'health', trialId, reason });
    }
    // A peer that does not answer is waited for; its silence is judged by the dead-man timer.
    const heard = (a.state?.world.peer ?? null) !== null;
    good = verdict === undefined || !heard ? 0 : good + 1;
    if (good === 0) {
      r.soft = true;
      yield 100;
    }
  }
  a.healthyTrial = trialId;
  w.send(a.id, { type: 'health', trialId, reason: null });
}

const FLAKY: Reason = { code: 'health.check', message: 'a check failed by chance' };

function* watchService(w: EffectWorld, a: Appliance, r: Running): Work {
  for (;;) {
    const version = a.state?.world.system?.version;
    if (version !== undefined && version === a.faults.illServing) {
      throw new UpdateError('health.check', `system ${version} does not serve well`);
    }
    r.soft = true;
    yield w.pace.ms(200, 100, 1000);
  }
}
