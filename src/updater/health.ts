/**
 * The health checks of a trial (docs/ARCHITECTURE.md, "Health of a trial"). The node does not serve
 * yet: storage first, because healthy storage software may be kept when the system is not. A check
 * may need some time after a boot to become good; then all of them must stay good for the stable
 * time. Imports core and ports.
 */
import type { Reason, Trial } from '../core/records.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Event, NodeState } from '../core/state.ts';
import type { Hooks, Host, ServiceAddress, StorageSoftware } from '../ports.ts';
import { MESSAGE_CHARS_MAX, pause, type Pause } from './effects.ts';

/** What the checks of a trial ask. */
export interface HealthPorts {
  readonly host: Host;
  readonly storage: StorageSoftware;
  readonly service: ServiceAddress;
  readonly hooks: Hooks;
  /** How time passes between rounds; real time unless a test says otherwise. */
  readonly pause?: Pause;
}

/** How long a trial may take to become good, and has to stay so. */
export interface HealthTimes {
  /** How long after the boot a check may still be bad. */
  readonly graceMs: number;
  /** How long all checks must stay good. */
  readonly stableMs: number;
  /** Pause between two rounds. */
  readonly roundMs: number;
  /** Time limit of one check. */
  readonly checkMs: number;
}

interface Check {
  readonly name: string;
  /**
   * What a failure means: `final` at once, `grace` once the time after the boot is over, `wait`
   * never by itself (the dead-man timer judges a peer that stays silent, rule R8).
   */
  readonly failure: 'final' | 'grace' | 'wait';
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/**
 * Asks the hooks of `post-switch`, then runs all checks until they are good for the stable time,
 * then asks the appliance's own (`health`), and those of `pre-commit` last; returns why the trial
 * is not healthy, or null. A commit follows by itself once the storage of this node is level.
 */
export async function checkHealth(
  trial: Trial,
  state: () => NodeState,
  ports: HealthPorts,
  times: HealthTimes,
  dispatch: (event: Event) => Promise<boolean>,
  signal: AbortSignal,
): Promise<Reason | null> {
  const checks = checksOf(trial, state, ports, dispatch);
  const steps = [
    () => hooksVerdict('post-switch', trial, state, ports, signal),
    () => rounds(checks, ports, times, signal),
    () => hooksVerdict('health', trial, state, ports, signal),
    () => hooksVerdict('pre-commit', trial, state, ports, signal),
  ];
  for (const step of steps) {
    const bad = await step();
    if (bad !== null || signal.aborted) return bad;
  }
  return null;
}

/**
 * Checks a trial that was found healthy once more, without the appliance's own checks: one good
 * round is enough, and a check is bad only if it stays so for the whole time of grace, since a sync
 * may slow everything down. A silent peer is the dead-man timer's. Returns why it is bad, or null.
 */
export async function checkStillHealthy(
  trial: Trial,
  state: () => NodeState,
  ports: HealthPorts,
  times: HealthTimes,
  signal: AbortSignal,
): Promise<Reason | null> {
  const all = checksOf(trial, state, ports, () => Promise.resolve(false));
  const checks = all.filter(({ failure }) => failure !== 'wait');
  return rounds(checks, ports, { ...times, stableMs: 0 }, signal);
}

/** Rounds of all checks until they were good for the stable time, or until one is bad for good. */
async function rounds(
  checks: readonly Check[],
  { host, pause: wait = pause }: HealthPorts,
  times: HealthTimes,
  signal: AbortSignal,
): Promise<Reason | null> {
  const beganMs = host.monotonicMs();
  let goodSinceMs: number | null = null;
  while (!signal.aborted) {
    const bad = await firstBad(checks, times.checkMs, signal);
    if (signal.aborted) break;
    const nowMs = host.monotonicMs();
    if (bad === null) {
      goodSinceMs ??= nowMs;
      if (nowMs - goodSinceMs >= times.stableMs) return null;
    } else {
      const early = nowMs - beganMs < times.graceMs && goodSinceMs === null;
      const waits = bad.failure === 'wait' || (bad.failure === 'grace' && early);
      if (!waits) return bad.reason;
      if (bad.failure === 'wait') goodSinceMs = null;
    }
    await wait(times.roundMs, signal);
  }
  return null;
}

async function firstBad(
  checks: readonly Check[],
  checkMs: number,
  signal: AbortSignal,
): Promise<{ readonly reason: Reason; readonly failure: Check['failure'] } | null> {
  for (const check of checks) {
    if (signal.aborted) return null;
    try {
      await limited(check.run, checkMs, signal);
    } catch (cause) {
      const error = asUpdateError(cause);
      const code = error.code.startsWith('health.') ? error.code : 'health.check';
      const told = error.message.slice(0, MESSAGE_CHARS_MAX);
      const message = `health check "${check.name}" failed: ${told}`;
      return { reason: { code, message }, failure: check.failure };
    }
  }
  return null;
}

/** A check that does not answer in time is bad, also one that does not mind its signal. */
async function limited(
  run: (signal: AbortSignal) => Promise<void>,
  checkMs: number,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(checkMs)]);
  const { promise, reject } = Promise.withResolvers<never>();
  const silent = new UpdateError('health.check', `no answer within ${checkMs / 1000} s`);
  const stop = (): void => reject(silent);
  limit.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([promise, run(limit)]);
  } finally {
    limit.removeEventListener('abort', stop);
  }
}

function checksOf(
  trial: Trial,
  state: () => NodeState,
  ports: HealthPorts,
  dispatch: (event: Event) => Promise<boolean>,
): readonly Check[] {
  const { host, storage, service } = ports;
  return [
    { name: 'slot', failure: 'final', run: async () => checkSlot(trial, state()) },
    {
      name: 'data partition writable',
      failure: 'grace',
      run: (signal) => host.checkWritable(signal),
    },
    {
      name: 'storage software',
      failure: 'grace',
      run: async (signal) => {
        if (state().world.storage === null) {
          throw new UpdateError('health.storage', storageTrouble(state()));
        }
        await storage.health(signal);
        const proven = state().record.storage.trial?.proven ?? true;
        if (!proven) await dispatch({ type: 'storage-proven', trialId: trial.id });
      },
    },
    { name: 'peer reachable', failure: 'wait', run: async () => checkPeer(state()) },
    {
      name: 'self-test of the workload',
      failure: 'grace',
      run: (signal) => service.selfTest(signal),
    },
    { name: 'watchdog', failure: 'grace', run: async () => host.feedWatchdog() },
  ];
}

function storageTrouble(s: NodeState): string {
  return s.world.troubles['run-storage']?.message ?? 'the storage software does not run';
}

/** Booted slot and content as armed: what runs is what was written, read from the running root. */
function checkSlot(trial: Trial, s: NodeState): void {
  const { boot, system, seals } = s.world;
  if (boot.slot !== trial.slot) {
    const message = `slot ${boot.slot} is booted, slot ${trial.slot} is on trial`;
    throw new UpdateError('health.slot', message);
  }
  const armed = seals.system[trial.slot]?.release;
  if (
    armed === undefined ||
    system?.version !== armed.version ||
    system.counter !== armed.counter
  ) {
    const found = system === null ? 'nothing' : `${system.version} (release ${system.counter})`;
    const wanted = armed === undefined ? 'nothing' : `${armed.version} (release ${armed.counter})`;
    throw new UpdateError('health.slot', `the system says it is ${found}, armed was ${wanted}`);
  }
}

function checkPeer(s: NodeState): void {
  if (!s.world.linkUp || s.world.peer === null) {
    throw new UpdateError('health.check', 'the peer does not answer on any channel of the link');
  }
}

/** What the hooks of a point say of the trial; null = nothing against it. */
async function hooksVerdict(
  point: 'post-switch' | 'health' | 'pre-commit',
  trial: Trial,
  state: () => NodeState,
  ports: HealthPorts,
  signal: AbortSignal,
): Promise<Reason | null> {
  const s = state();
  const input = {
    node: s.record.node,
    rollout: trial.rollout,
    slot: trial.slot,
    system: s.world.system,
    storage: s.world.storage?.release ?? null,
  };
  let words = '';
  for (let tries = 0; tries < HOOK_RETRIES && !signal.aborted; tries++) {
    try {
      const { later } = await ports.hooks.run(point, input, signal);
      if (later === undefined) return null;
      words = later;
    } catch (cause) {
      const error = asUpdateError(cause);
      return { code: 'health.check', message: error.message.slice(0, MESSAGE_CHARS_MAX) };
    }
    await (ports.pause ?? pause)(HOOK_RETRY_MS, signal);
  }
  const message = `a ${point} hook asked to be tried again too often: ${words}`;
  return { code: 'health.check', message: message.slice(0, MESSAGE_CHARS_MAX) };
}

/** A hook that exits 75 is asked again this often, with this pause. */
const HOOK_RETRIES = 60;
const HOOK_RETRY_MS = 1000;

/** Checks in a row that may fail before the service counts as failed. */
const SERVICE_FAILURES_MAX = 3;

/** Watches the workload of a node that serves; throws its reason when it stays bad. */
export async function watchService(
  ports: Pick<HealthPorts, 'service' | 'pause'>,
  times: HealthTimes,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    try {
      await limited((limit) => ports.service.selfTest(limit), times.checkMs, signal);
      failures = 0;
    } catch (error) {
      failures++;
      if (failures >= SERVICE_FAILURES_MAX) throw error;
    }
    await (ports.pause ?? pause)(times.roundMs, signal);
  }
}
