/**
 * Composition root of the service: it names the drivers, with src/daemon/machine.ts for those that
 * the configuration chooses between, and src/installer.ts for the bulk work. It opens what this
 * node has, finds the state that it was left in, and puts the runner, the backend and the control
 * server together. May import everything.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VERSION } from './cli/version.ts';
import { parseAddress, type Config } from './config.ts';
import { asUpdateError, UpdateError } from './core/errors.ts';
import type { Sha256, Slot } from './core/model.ts';
import type { Policy, Reason } from './core/records.ts';
import { running, type NodeState } from './core/state.ts';
import { automationDrivers, gateOf, openAutomation } from './daemon/automation.ts';
import type { Automation } from './daemon/automation.ts';
import { Backend } from './daemon/backend.ts';
import { readDepotHead } from './daemon/depot-head.ts';
import { openDoors } from './daemon/doors.ts';
import { FenceWatch } from './daemon/fence-watch.ts';
import { History } from './daemon/history.ts';
import { watchHungStorage } from './daemon/hung-storage.ts';
import type { Identity } from './daemon/plan.ts';
import { openInit } from './daemon/init.ts';
import { initialState } from './daemon/initial.ts';
import { openJobBook } from './daemon/job-book.ts';
import { Listeners } from './daemon/listeners.ts';
import { mendLostBoot } from './daemon/lost-boot.ts';
import { bootOf, openHostOf, openServiceOf, openSlotsOf } from './daemon/machine.ts';
import { alsoAlive } from './daemon/notify-init.ts';
import { openPowerNotes } from './daemon/power-note.ts';
import { openPrepareDisk } from './daemon/prepare-disk.ts';
import { prepareUpdater } from './daemon/prepare-updater.ts';
import { openFencer, openLink } from './daemon/peer-drivers.ts';
import type { PairingParts } from './daemon/replace.ts';
import { DriverRequests } from './daemon/requests.ts';
import { serveSafeMode } from './daemon/safe-mode.ts';
import { Support } from './daemon/support.ts';
import { TrustKeeper, waitingDirOf } from './daemon/trust-keeper.ts';
import { serviceLog } from './daemon/service-log.ts';
import { SettingsFile } from './daemon/settings.ts';
import { Tally } from './daemon/tally.ts';
import { openDepot } from './drivers/depot-dir.ts';
import { withFailpoints } from './drivers/failpoints.ts';
import { processInstaller } from './drivers/installer-process.ts';
import { openJournal } from './drivers/journal-file.ts';
import { keysDirOf, type PairKeys } from './drivers/keys.ts';
import { FileLineLog } from './drivers/line-log.ts';
import { assertNotReplaced, markReplaced } from './drivers/live-keys.ts';
import { openLiveKeys, type LiveKeys } from './drivers/live-keys.ts';
import { pairInit } from './drivers/pairing.ts';
import { lockState } from './drivers/state-lock.ts';
import { createStorageProcess } from './drivers/storage-process.ts';
import { openStoreProcess } from './drivers/store-process.ts';
import { openUpdaterPrograms } from './drivers/updater-programs.ts';
import { unpackImage } from './drivers/unpack-ext4.ts';
import type { Host, Inhibitor, JournalContent, Slots } from './ports.ts';
import { EventLog } from './updater/events.ts';
import { Executor, type ExecuteOptions } from './updater/execute.ts';
import { Runner } from './updater/runner.ts';

/** Rounds of health checks, and how long one may take. */
const HEALTH_ROUND_MS = 1000;
const HEALTH_CHECK_MS = 10_000;

const log = serviceLog();

/** What of the configuration is the policy of a rollout. */
function policyOf(config: Config): Policy {
  const { order, onSecondFailure, retries, soakS, tries, deadmanS } = config.policy;
  return { order, onSecondFailure, retries, soakS, tries, deadmanS };
}

/**
 * Runs the service until the signal. Throws `pair.not_paired`, `state.locked`, `config.invalid` and
 * what the drivers throw when the node cannot be opened; a corrupt journal is not thrown but served
 * in safe mode.
 */
export async function runDaemon(config: Config, signal: AbortSignal): Promise<void> {
  // Before anything is started that would inherit what init said to this process.
  const init = await openInit(process.env);
  const keysDir = keysDirOf(config.stateDir);
  const keys = await openLiveKeys(keysDir, log);
  await mkdir(config.runDir, { recursive: true, mode: 0o755 });
  await using _lock = await lockState(config.stateDir);
  const host = alsoAlive(await openHostOf(config, log), init.notes);
  await using journal = await openJournal(config.stateDir);
  let content: JournalContent;
  try {
    await assertNotReplaced(keysDir);
    content = await journal.read();
  } catch (error) {
    await serveSafeMode(config, host, error, signal, init);
    return;
  }
  if (content.torn) log('the journal had a torn last record, which was dropped');
  const failed = Promise.withResolvers<never>();
  await using node = await openNode(config, keys, host, journal, content, failed.reject);
  await using _doors = await openDoors(node.backend, {
    ...node.drivers,
    config,
    host,
    updating: () => running(node.runner.state.rollout),
    onRemoteTrouble: (reason) => void (node.remote.trouble = reason),
    sockets: init.sockets,
    log,
  });
  node.runner.start();
  node.fence.start(config.fence.policy);
  node.automation.start();
  const reason = node.drivers.lostBoot;
  // It stays an alarm until the next start: somebody has to look at the disk.
  if (reason !== null) await node.runner.dispatch({ type: 'trouble', effect: 'boot', reason });
  const runs = `node ${config.node} runs Tandem ${VERSION} from slot ${host.boot().slot}`;
  log(runs, 'info');
  init.notes.ready(runs);
  await Promise.race([aborted(signal), failed.promise]).finally(() => init.notes.stopping());
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

type Journal = Awaited<ReturnType<typeof openJournal>>;

/** What holds a resource is ended in reverse order when the node ends. */
async function openDrivers(
  config: Config,
  keys: PairKeys,
  host: Host,
  content: JournalContent,
  stack: AsyncDisposableStack,
  onReplaced: () => void,
) {
  const logs = join(config.stateDir, 'logs');
  const lines = (name: string): FileLineLog => stack.use(new FileLineLog(join(logs, name)));
  const events = new EventLog(config.node, () => host.nowMs(), lines('events.ndjson'));
  const history = new History(lines('history.ndjson'));
  await Promise.all([events.load(), history.load()]);
  const slots = await openSlotsOf(config, host.boot().slot);
  const boot = bootOf(config);
  const lostBoot = await mendLostBoot({
    host,
    slots,
    lastTrialId: content.node?.lastTrialId ?? 0,
    recreate: boot.recreate,
    events,
    log,
  });
  return {
    events,
    history,
    audit: lines('audit.ndjson'),
    notes: stack.use(await openPowerNotes(config.stateDir, log)),
    book: stack.use(await openBook(config, host, events)),
    tally: stack.use(await Tally.open(config.stateDir, host.boot(), log)),
    settings: await SettingsFile.open(config),
    slots,
    lostBoot,
    boot: stack.use(await boot.open()),
    depot: await openDepot(depotOf(config), readDepotHead(config.trustRoot)),
    link: stack.use(await openLink(config, keys, onReplaced)),
    store: stack.use(openStoreProcess({ socket: config.storage.socket })),
    storage: stack.use(openStorage(config, keys, logs, slots)),
    service: stack.use(await openServiceOf(config, logs, log)),
    ...(await openUpdaters(config, join(logs, 'installer.log'), events)),
    ...automationDrivers(config.hooksDir, config.automation),
    fencer: openFencer(config, host),
    host,
  };
}

/** The installer: the program of this node, or a newer one that a prepared bundle brought. */
async function openUpdaters(config: Config, logFile: string, events: EventLog) {
  const installerOf = (entry: string) => processInstaller({ entry, logFile });
  const installer = await openUpdaterPrograms({
    dir: join(config.stateDir, 'updater'),
    own: installerOf(process.argv[1] ?? ''),
    ownVersion: VERSION,
    installerOf,
    tell: (msg) => void events.emit({ job: null, phase: null, state: 'updater', msg }),
  });
  const updater = prepareUpdater(installer, VERSION, config.trustRoot);
  return {
    installer,
    prepare: { disk: await openPrepareDisk(config.stateDir, log), updater, log },
  };
}

/** The book of jobs; those that the end of the daemon before interrupted are told of. */
async function openBook(config: Config, host: Host, events: EventLog) {
  const at = new Date(host.nowMs()).toISOString();
  const book = await openJobBook(config.stateDir, at, log);
  for (const { id: job, message: msg, code } of book.interrupted) {
    events.emit({ job, phase: null, state: 'failed', msg, code });
  }
  return book;
}

/** The node: runner and backend on its drivers. */
async function openNode(
  config: Config,
  keys: LiveKeys,
  host: Host,
  journal: Journal,
  content: JournalContent,
  onFatal: (error: UpdateError) => void,
) {
  await using stack = new AsyncDisposableStack();
  const onReplaced = replacedOf(config, host, onFatal);
  const drivers = await openDrivers(config, keys, host, content, stack, onReplaced);
  const { events, history, tally } = drivers;
  const found = { config, pair: keys.pair, program: VERSION, content };
  const initial = await initialState({ ...found, ...drivers });
  const options = executeOptions(config, drivers.inhibitor, () => backend.kept());
  const executor = new Executor(drivers, options, () => runner.state);
  const { link, execute, ...ports } = withFailpoints(
    placeOf(host, () => runner.state),
    {
      journal,
      link: drivers.link,
      execute: (...words: Parameters<Executor['run']>) => executor.run(...words),
    },
  );
  const trust = await openTrust(config, drivers, (event) => runner.dispatch(event));
  const onState = (state: NodeState): void => {
    for (const one of [trust, backend, automation]) one.look(state);
  };
  const listeners = new Listeners({ events, history, tally, link, host, log, onFatal, onState });
  const runner: Runner = new Runner(initial, { ...ports, link, host }, execute, listeners);
  stack.use(trust);
  stack.use(runner);
  const requests = new DriverRequests(runner, link);
  const { burnInH } = config.policy;
  listeners.connect(runner, requests, drivers.store, drivers.storage, burnInH);
  watchHungStorage({ storage: drivers.storage, runner, host, events, log });
  const remote: { trouble: Reason | null } = { trouble: null };
  const fence = stack.use(new FenceWatch(drivers.fencer, (event) => runner.dispatch(event), log));
  const backend: Backend = new Backend({
    ...drivers,
    care: drivers.store,
    ...settledParts(config, host, drivers),
    pairing: pairingOf(config, keys),
    runner,
    executor,
    requests,
    trust: () => trust.status(),
    lastHeard: () => listeners.lastHeard,
    reformingSinceMs: () => listeners.reformingSinceMs,
    syncMovedMs: () => listeners.syncMovedMs,
    linkTroubles: () => [
      ...listeners.linkTroubles(),
      ...[fence.trouble, remote.trouble].filter((one) => one !== null),
    ],
  });
  stack.use(backend);
  const times = { ...drivers, config, runner, requests, log };
  const automation: Automation = stack.use(await openAutomation(times, backend));
  backend.resume();
  const held = stack.move();
  return {
    runner,
    backend,
    fence,
    automation,
    remote,
    drivers,
    [Symbol.asyncDispose]: (): Promise<void> => held.disposeAsync(),
  };
}

/** Another node has this one's place: known at every later start; this run of the daemon ends. */
function replacedOf(config: Config, host: Host, onFatal: (error: UpdateError) => void) {
  const mark = async (): Promise<void> => {
    const at = new Date(host.nowMs()).toISOString();
    // Where it cannot be kept, the node is told so again after its next start.
    await markReplaced(keysDirOf(config.stateDir), at).catch((error: unknown) => {
      log(asUpdateError(error).message);
    });
    const message = 'the peer has another node in the place of this one';
    onFatal(new UpdateError('pair.replaced', message));
  };
  return (): void => void mark();
}

/** The keeper of the trust root that an update may bring. */
function openTrust(
  config: Config,
  { depot, events }: Pick<Awaited<ReturnType<typeof openDrivers>>, 'depot' | 'events'>,
  dispatch: Runner['dispatch'],
) {
  const { trustRoot } = config;
  const waitingDir = waitingDirOf(config.stateDir);
  return TrustKeeper.open({ trustRoot, waitingDir, depot, events, dispatch, log });
}

/** How this node pairs with a node that replaces its peer. */
function pairingOf(config: Config, keys: LiveKeys): PairingParts {
  const listen = parseAddress(config.link.bulk);
  return { keysDir: keysDirOf(config.stateDir), listen, keys, open: pairInit };
}

const depotOf = ({ stateDir }: Config): string => join(stateDir, 'depot');

/** Where failpoints of a test strike. */
function placeOf(host: Host, state: () => NodeState) {
  const phase = () => state().rollout?.phase ?? null;
  return { env: process.env, bootId: host.boot().bootId, phase, log };
}

/** What the backend is told of the node that does not change while it runs. */
function settledParts(
  config: Config,
  host: Host,
  { slots, inhibitor }: { readonly slots: Slots; readonly inhibitor: Inhibitor },
) {
  return {
    automation: gateOf(config.automation, inhibitor),
    support: supportOf(config, host),
    identity: identityOf(config, slots),
    policy: policyOf(config),
    fencePolicy: config.fence.policy,
    trustRoot: config.trustRoot,
    depotDir: depotOf(config),
    address: config.service.address,
    holdH: config.policy.holdH,
  };
}

function identityOf(config: Config, slots: Slots): Identity {
  return {
    product: config.product,
    hardware: config.hardware,
    program: VERSION,
    slotBytes: {
      system: slots.device('system', 'A').sizeBytes,
      storage: slots.device('storage', 'A').sizeBytes,
    },
  };
}

function supportOf(config: Config, host: Host): Support {
  const entry = process.argv[1] ?? '';
  return new Support({ config, program: VERSION, entry, nowMs: () => host.nowMs() });
}

function openStorage(config: Config, keys: PairKeys, logs: string, slots: Slots) {
  return createStorageProcess({
    node: config.node,
    pair: keys.pair,
    listen: config.storage.listen,
    peer: config.storage.peer,
    silentMs: config.link.silentMs,
    socket: config.storage.socket,
    dataDir: config.storage.dataDir,
    keysDir: keysDirOf(config.stateDir),
    logFile: join(logs, 'storage.log'),
    unpack: async (slot: Slot, signal: AbortSignal) => {
      const dir = join(config.runDir, `storage-${slot}`);
      await unpackImage(slots.device('storage', slot).path, dir, signal);
      return dir;
    },
  });
}

function executeOptions(
  config: Config,
  inhibitor: Inhibitor,
  kept: () => readonly Sha256[],
): ExecuteOptions {
  const bulk = parseAddress(config.link.bulk);
  const keysDir = keysDirOf(config.stateDir);
  return {
    stateDir: config.stateDir,
    depotDir: depotOf(config),
    kept,
    automation: gateOf(config.automation, inhibitor),
    trustRoot: config.trustRoot,
    bulk: { ...bulk, keysDir },
    peerHost: parseAddress(config.link.peer).host,
    health: {
      graceMs: config.policy.graceS * 1000,
      stableMs: config.policy.stableS * 1000,
      roundMs: HEALTH_ROUND_MS,
      checkMs: HEALTH_CHECK_MS,
    },
  };
}
