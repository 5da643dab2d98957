/**
 * What each effect means as port calls. Effects are idempotent: they look at what is there before
 * they change anything, because after a power cut the same effect runs again. Imports core, ports
 * and the installer's protocol; never drivers.
 */
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { peerOf, SLOT_CLASSES } from '../core/model.ts';
import type { NodeId, Sha256, Slot, SlotClass } from '../core/model.ts';
import type { Job, Target, Trial } from '../core/records.ts';
import type { Seals } from '../core/report.ts';
import { running, type Effect, type Event, type NodeState } from '../core/state.ts';
import type { BulkEndpoint, InstallerRequest, InstallResult } from '../install/protocol.ts';
import type { BootChooser, Depot, Fencer, Installer, Slots, Store } from '../ports.ts';
import { MESSAGE_CHARS_MAX } from './effects.ts';
import { DEMOTION_MS, fence, leave, REBOOT_MS, release } from './let-go.ts';
import { passGate, type GateParts } from './switch-gate.ts';
import { installTargets } from './targets.ts';
import { checkHealth, checkStillHealthy, watchService } from './health.ts';
import type { HealthPorts, HealthTimes } from './health.ts';

/** The world that effects change. */
export interface ExecutePorts extends HealthPorts {
  readonly boot: BootChooser;
  readonly slots: Slots;
  readonly store: Store;
  readonly depot: Depot;
  readonly installer: Installer;
  readonly fencer: Fencer;
}

/** Where things are on this node, and for how long trials are watched. */
export interface ExecuteOptions {
  readonly stateDir: string;
  readonly depotDir: string;
  readonly trustRoot: string;
  /** Where this node serves bundles to its peer. */
  readonly bulk: BulkEndpoint;
  /** Where the peer serves bundles; the port comes with its report. */
  readonly peerHost: string;
  readonly health: HealthTimes;
  /** Windows and files that hold a switch up; nothing does when absent. */
  readonly automation?: GateParts['automation'];
  /** Bundles that the depot keeps beside those of rollouts; none when absent. */
  readonly kept?: () => readonly Sha256[];
  /** Milliseconds that a demotion may take; 5000 when not given. */
  readonly demotionMs?: number;
  /** Milliseconds that the way to a restart may take; 15,000 when not given. */
  readonly rebootMs?: number;
}

type Dispatch = (event: Event) => Promise<boolean>;

/** How often the installer's process is started for one request when it is killed. */
const INSTALLER_TRIES = 3;

/** Which images the slots hold, as their seals say. */
export async function readSeals(slots: Slots): Promise<Seals> {
  const both = async (cls: SlotClass) => ({
    A: (await slots.info(cls, 'A')).seal,
    B: (await slots.info(cls, 'B')).seal,
  });
  return { system: await both('system'), storage: await both('storage') };
}

/** Carries out effects. */
export class Executor {
  readonly #ports: ExecutePorts;
  readonly #options: ExecuteOptions;
  readonly #state: () => NodeState;

  constructor(ports: ExecutePorts, options: ExecuteOptions, state: () => NodeState) {
    this.#ports = ports;
    this.#options = options;
    this.#state = state;
  }

  /** Runs one effect to its end; throws UpdateError when it failed and may be tried again. */
  async run(effect: Effect, dispatch: Dispatch, signal: AbortSignal): Promise<void> {
    const { store, service, boot } = this.#ports;
    switch (effect.do) {
      case 'run-storage':
        return this.#runStorage(effect.slot, dispatch, signal);
      case 'serve':
        await store.promote(effect.epoch);
        await service.acquire(effect.epoch, signal);
        await dispatch({ type: 'serving', epoch: effect.epoch });
        return;
      case 'release':
        return release(this.#ports, this.#options.demotionMs ?? DEMOTION_MS, dispatch);
      case 'go-alone':
        await store.goAlone(effect.epoch);
        return;
      case 'fence':
        return fence(this.#ports.fencer, effect, peerOf(this.#node()), dispatch, signal);
      case 'raise-format':
        await store.finalizeFormat();
        await dispatch({ type: 'format-raised', rollout: effect.rollout });
        return;
      case 'fetch':
        return this.#fetch(effect, dispatch, signal);
      case 'offer':
        return this.#offer(effect, dispatch, signal);
      case 'install':
        return this.#install(effect.job, dispatch, signal);
      case 'arm':
        return this.#changeBoot(boot.arm(effect.trial), dispatch);
      case 'commit':
        return this.#commit(effect.trial, dispatch);
      case 'revert':
        return this.#changeBoot(boot.revert(effect.trial.id), dispatch);
      case 'close-other-slot':
        return this.#changeBoot(boot.setOtherOk(false), dispatch);
      case 'reboot':
        return leave(this.#ports, 'reboot', effect.reason, this.#options.rebootMs ?? REBOOT_MS);
      case 'watch-service':
        return watchService(this.#ports, this.#options.health, signal);
      case 'check-health': {
        const { trial } = effect;
        const times = this.#options.health;
        const again = this.#state().record.update.state === 'healthy';
        const reason = again
          ? await checkStillHealthy(trial, this.#state, this.#ports, times, signal)
          : await checkHealth(trial, this.#state, this.#ports, times, dispatch, signal);
        if (!signal.aborted) await dispatch({ type: 'health', trialId: trial.id, reason });
        return;
      }
    }
  }

  /**
   * The depot keeps the bundle of the newest rollout, what is prepared, and the one that comes.
   * Throws `space.depot` with the name of this node, as the one who asked may sit at the other.
   */
  async makeRoom(bundle: Sha256, bytes: number): Promise<void> {
    const { depot } = this.#ports;
    const current = this.#state().rollout?.to.bundle;
    const kept = this.#options.kept?.() ?? [];
    try {
      await depot.retain([...kept, ...(current === undefined ? [] : [current]), bundle]);
      await depot.reserve(bundle, bytes);
    } catch (cause) {
      const { code, message, detail } = asUpdateError(cause);
      const words = `node ${this.#node()}: ${message}`;
      throw new UpdateError(code, words, { ...(detail && { detail }), cause });
    }
  }

  /** Tells the machine which bundles the depot holds now. */
  async observeDepot(dispatch: Dispatch): Promise<void> {
    const entries = await this.#ports.depot.list();
    const depot = entries.map((entry) => entry.bundle);
    await dispatch({ type: 'depot', depot, freeBytes: null });
  }

  async #runStorage(slot: Slot, dispatch: Dispatch, signal: AbortSignal): Promise<void> {
    const { storage } = this.#ports;
    await storage.start(slot, signal);
    const running = storage.running();
    await dispatch({ type: 'storage', running });
    if (running === null) {
      throw new UpdateError('health.storage', 'the storage software ended right after its start');
    }
  }

  /** Whoever finds the boot chooser in another state than expected looks at it again. */
  async #changeBoot(change: Promise<void>, dispatch: Dispatch): Promise<void> {
    try {
      await change;
    } catch (error) {
      if (asUpdateError(error).code === 'boot.conflict') await this.#observeBoot(dispatch);
      throw error;
    }
    await this.#observeBoot(dispatch);
  }

  /**
   * The write in the boot chooser is the verdict; then the slot's seal tells of it, for a boot
   * loader that has lost its state. A seal that cannot be written takes no verdict back: the effect
   * stays due and is tried again.
   */
  async #commit({ id, slot }: Trial, dispatch: Dispatch): Promise<void> {
    const { boot, slots } = this.#ports;
    try {
      await boot.commit(id);
      const { seal } = await slots.info('system', slot);
      if (seal !== null && seal.committed !== id) {
        await slots.seal('system', slot, { ...seal, committed: id });
      }
      await dispatch({ type: 'seals', seals: await readSeals(slots) });
    } finally {
      await this.#observeBoot(dispatch);
    }
  }

  async #observeBoot(dispatch: Dispatch): Promise<void> {
    const { state } = await this.#ports.boot.read();
    await dispatch({ type: 'boot-state', state });
  }

  async #fetch(
    effect: Effect & { do: 'fetch' },
    dispatch: Dispatch,
    signal: AbortSignal,
  ): Promise<void> {
    const { bulk, peerHost, depotDir, trustRoot } = this.#options;
    const request: InstallerRequest = {
      do: 'fetch',
      from: { host: peerHost, port: effect.port, keysDir: bulk.keysDir },
      bundle: effect.bundle,
      bytes: effect.bytes,
      trustRoot,
      depotDir,
    };
    await this.makeRoom(effect.bundle, effect.bytes);
    await this.work(request, 'receiving', this.#job(), dispatch, signal);
    await this.observeDepot(dispatch);
  }

  async #offer(
    effect: Effect & { do: 'offer' },
    dispatch: Dispatch,
    signal: AbortSignal,
  ): Promise<void> {
    const entry = (await this.#ports.depot.list()).find((one) => one.bundle === effect.bundle);
    if (entry === undefined) {
      await this.observeDepot(dispatch);
      throw new UpdateError('file.not_found', 'the bundle is not in the depot any more');
    }
    const request: InstallerRequest = { do: 'serve', path: entry.path, listen: this.#options.bulk };
    try {
      await this.#ports.installer.run(request, {
        signal,
        onListening: (port) => void dispatch({ type: 'bulk', port }),
      });
    } finally {
      await dispatch({ type: 'bulk', port: null });
    }
  }

  /** Runs a request of the installer with its progress shown as this node's activity. */
  async work<T>(
    request: InstallerRequest,
    name: string,
    job: string | null,
    dispatch: Dispatch,
    signal: AbortSignal,
  ): Promise<T> {
    await dispatch({ type: 'activity', activity: { name, progress: null, job } });
    try {
      return await this.#runInstaller<T>(request, dispatch, {
        signal,
        onProgress: (progress) =>
          void dispatch({ type: 'activity', activity: { name, progress, job } }),
      });
    } finally {
      await dispatch({ type: 'activity', activity: null });
    }
  }

  /** A process that was killed is no verdict on the bundle: the next one goes on where it was. */
  async #runInstaller<T>(
    request: InstallerRequest,
    dispatch: Dispatch,
    options: Parameters<Installer['run']>[1],
  ): Promise<T> {
    let troubled = false;
    try {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#ports.installer.run<T>(request, options);
        } catch (cause) {
          const { code, message } = asUpdateError(cause);
          const again = code === 'installer.crashed' && tries < INSTALLER_TRIES;
          if (!again || options.signal.aborted) throw cause;
          troubled = true;
          await dispatch({ type: 'trouble', effect: 'installer', reason: { code, message } });
        }
      }
    } finally {
      if (troubled) await dispatch({ type: 'trouble', effect: 'installer', reason: null });
    }
  }

  async #install(job: Job, dispatch: Dispatch, signal: AbortSignal): Promise<void> {
    let failure: UpdateError | null = null;
    try {
      if (job.mode === 'return') await this.#checkReturn(job);
      else {
        await this.#write(job, dispatch, signal);
        await passGate(this.#gate(), job, this.#state, dispatch, signal);
      }
    } catch (cause) {
      failure = asUpdateError(cause);
    }
    await dispatch({ type: 'seals', seals: await readSeals(this.#ports.slots) });
    // Whoever took the job back wants no verdict on it.
    if (signal.aborted) return;
    if (failure === null) {
      await dispatch({ type: 'installed', job });
      return;
    }
    const message = `node ${this.#node()}: ${failure.message}`.slice(0, MESSAGE_CHARS_MAX);
    await dispatch({ type: 'install-failed', job, reason: { code: failure.code, message } });
  }

  /** The slots that are to be booted again still hold what they held. */
  async #checkReturn(job: Job): Promise<void> {
    const system = job.targets.find((target) => target.class === 'system');
    if (!this.#state().record.canRollBack) this.#checkFloor(system?.release.counter ?? 0);
    for (const target of job.targets) {
      const { seal } = await this.#ports.slots.info(target.class, target.slot);
      if (seal?.release.counter !== target.release.counter) {
        const slot = `slot ${target.class}-${target.slot}`;
        const message = `${slot} does not hold ${target.release.version} any more`;
        throw new UpdateError('rollback.unavailable', message);
      }
    }
  }

  /** Close, invalidate, write, read back, seal: the order is the safety argument. */
  async #write(job: Job, dispatch: Dispatch, signal: AbortSignal): Promise<void> {
    const { boot, depot, slots } = this.#ports;
    const entry = (await depot.list()).find((one) => one.bundle === job.bundle);
    if (entry === undefined) throw new UpdateError('file.not_found', 'the bundle is not staged');
    // The driver has judged it; a node whose driver is not to be believed judges what is its own.
    this.#checkFloor(entry.manifest.releaseCounter);
    await this.#checkTargets(job.targets);
    const targets = await installTargets(slots, job.targets, entry.manifest);
    if ((await boot.read()).state.otherOk) {
      await boot.setOtherOk(false);
      await this.#observeBoot(dispatch);
    }
    for (const target of job.targets) await slots.invalidate(target.class, target.slot);
    await dispatch({ type: 'seals', seals: await readSeals(slots) });
    const request: InstallerRequest = {
      do: 'install',
      path: entry.path,
      trustRoot: this.#options.trustRoot,
      targets,
      progressFile: join(this.#options.stateDir, 'install.progress'),
      readBack: true,
      format: this.#state().rollout?.options?.formatTarget === true,
    };
    const result = await this.work<InstallResult>(
      request,
      'installing',
      job.rollout,
      dispatch,
      signal,
    );
    for (const image of result.images) {
      const runsWith = entry.manifest.images.find((one) => one.class === image.class)?.runsWith;
      const { imageId, rawBytes, rawSha256, release } = image;
      const content = { imageId, rawBytes, rawSha256, release };
      const seal = { ...content, runsWith: runsWith ?? '*', committed: null };
      await slots.seal(image.class, image.slot, seal);
    }
  }

  #gate(): GateParts {
    const { automation } = this.#options;
    return { ...this.#ports, ...(automation && { automation }) };
  }

  /** What was closed by FINALIZE stays closed here, whoever asks. */
  #checkFloor(counter: number): void {
    const { releaseFloor, node } = this.#state().record;
    if (counter >= releaseFloor) return;
    const floor = `${releaseFloor}, the lowest that node ${node} takes`;
    const message = `release ${counter} is below ${floor}`;
    throw new UpdateError('version.downgrade', message);
  }

  /** A last look before the first write: what runs is never a target. */
  async #checkTargets(targets: readonly Target[]): Promise<void> {
    const { record, world } = this.#state();
    const { state } = await this.#ports.boot.read();
    for (const target of targets) {
      const inUse =
        target.class === 'system'
          ? target.slot === world.boot.slot || target.slot === state.default
          : target.slot === world.storage?.slot || target.slot === record.storage.current;
      if (inUse || !SLOT_CLASSES.includes(target.class)) {
        const message = `slot ${target.class}-${target.slot} is in use and is not written`;
        throw new UpdateError('boot.conflict', message);
      }
    }
  }

  /** The rollout that this node works for. */
  #job(): string | null {
    const { rollout } = this.#state();
    return running(rollout) ? rollout.id : null;
  }

  #node(): NodeId {
    return this.#state().record.node;
  }
}
