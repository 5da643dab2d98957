/**
 * Safe mode: the journal is damaged in the middle, so nothing of the pair is changed; what is known
 * is still shown, and the repair is named (docs/ARCHITECTURE.md, "Safe mode"). Imports core, ports,
 * control.
 */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { ControlBackend } from '../control/backend.ts';
import { NO_COUNTERS } from '../control/metrics.ts';
import { CODES } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { peerOf, type NodeId } from '../core/model.ts';
import { prepareView } from '../core/prepare-view.ts';
import type { PairStatus } from '../core/status.ts';
import type { Host } from '../ports.ts';
import { NO_INIT, type Init } from './init.ts';
import { safeUpkeep } from './safe-upkeep.ts';
import { FileLineLog } from '../drivers/line-log.ts';
import { openDoors } from './doors.ts';
import { NOTHING_SCHEDULED } from './schedules.ts';
import { SettingsFile } from './settings.ts';
import type { LineLog } from '../updater/events.ts';
import { unknownNode } from '../updater/status.ts';

/** Errors of the journal that are served in safe mode; any other one ends the daemon. */
const SAFE: ReadonlySet<string> = new Set([
  'journal.corrupt',
  'state.newer_schema',
  'pair.replaced',
]);

/** How long a trial in safe mode can be looked at before it ends. */
const TRIAL_MS = 20_000;

/**
 * Serves status, and refuses every change, until the signal. Throws what is no safe-mode matter. A
 * trial of a program that is older than the journal can never be healthy nor revert itself, because
 * it may write nothing: it restarts after `trialMs`, until the boot loader takes the old slot.
 */
export async function serveSafeMode(
  config: Config,
  host: Host,
  cause: unknown,
  signal: AbortSignal,
  { notes, sockets, log }: Init = NO_INIT,
  trialMs: number = TRIAL_MS,
): Promise<void> {
  const error = asUpdateError(cause);
  if (!SAFE.has(error.code)) throw error;
  log(`safe mode: ${error.message}`, 'error');
  const settings = await SettingsFile.open(config);
  await using lines = new FileLineLog(join(config.stateDir, 'logs/audit.ndjson'));
  const backend = safeBackend(config, host, error, { settings, lines });
  const parts = {
    config,
    host,
    audit: lines,
    settings,
    events: null,
    updating: () => false,
    onRemoteTrouble: NOT_SHOWN,
    sockets,
  };
  await using _doors = await openDoors(backend, { ...parts, log });
  notes.ready(`safe mode: ${error.code}`);
  const timer = setInterval(() => host.feedWatchdog(), 1000);
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  const older = error.code === 'state.newer_schema' && host.boot().reason === 'trial';
  const end = older ? setTimeout(resolve, trialMs) : null;
  await promise;
  if (signal.aborted) notes.stopping();
  clearInterval(timer);
  if (end !== null) clearTimeout(end);
  if (older && !signal.aborted) await host.reboot(`a trial in safe mode: ${error.code}`);
}

/** The one alarm of safe mode is safe mode; the log has this too. */
const NOT_SHOWN = (): void => {};

function safeBackend(
  config: Config,
  host: Host,
  error: UpdateError,
  { settings, lines }: { readonly settings: SettingsFile; readonly lines: LineLog },
): ControlBackend {
  const refuse = (): never => {
    throw new UpdateError(error.code, error.message);
  };
  const status = (): PairStatus => safeStatus(config.node, host, error);
  const live = [{ path: 'status/status.json', read: status }];
  return {
    ...safeUpkeep(config, host, error, live, lines),
    status,
    slots: () => Promise.resolve({ A: [], B: [] }),
    history: () => Promise.resolve([]),
    validate: () => Promise.resolve().then(refuse),
    counters: () => NO_COUNTERS,
    previewJob: () => Promise.resolve().then(refuse),
    previewAct: () => Promise.resolve().then(refuse),
    act: () => Promise.resolve().then(refuse),
    replace: () => Promise.resolve().then(refuse),
    prepared: () => prepareView(config.node, null, null),
    sayPrepare: () => Promise.resolve().then(refuse),
    automation: () => NOTHING_SCHEDULED,
    schedule: () => Promise.resolve().then(refuse),
    answerSchedule: () => Promise.resolve().then(refuse),
    takeover: refuse,
    storage: () => Promise.resolve().then(refuse),
    precheck: () => Promise.resolve().then(refuse),
    settings: () => Promise.resolve(settings.view()),
    set: () => Promise.resolve().then(refuse),
    bundles: () => Promise.resolve([]),
    eventsSince: () => [],
    onEvent: () => () => undefined,
  };
}

function safeStatus(self: NodeId, host: Host, error: UpdateError): PairStatus {
  const { bootId, reason, attempt } = host.boot();
  const own = {
    ...unknownNode(self, 0),
    known: true,
    boot: { id: bootId, reason, attempt },
    update: 'safe mode',
  };
  const peer = unknownNode(peerOf(self), null);
  const message = `${error.message} ${CODES[error.code].next}`;
  return {
    schema: 1,
    at: new Date(host.nowMs()).toISOString(),
    self,
    pair: null,
    state: 'SAFE_MODE',
    ha: { ok: false, text: 'safe mode: this node changes nothing and does not serve' },
    nodes: self === 'A' ? { A: own, B: peer } : { A: peer, B: own },
    rollout: null,
    reform: [],
    alarms: [{ code: error.code, node: self, message }],
  };
}
