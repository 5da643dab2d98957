/**
 * What the section `automation` of the configuration makes of the daemon: hooks with their time
 * limit, the inhibit directory, what may hold a switch up, and who tells hooks of what happens.
 * Imports core, the configuration, drivers and the updater.
 */
import type { Config } from '../config.ts';
import type { AutomationConfig } from '../config-automation.ts';
import { DirectoryHooks } from '../drivers/hooks-dir.ts';
import { InhibitDirectory } from '../drivers/inhibit-dir.ts';
import type { Hooks, Host, Inhibitor } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { Runner } from '../updater/runner.ts';
import type { GateParts } from '../updater/switch-gate.ts';
import { serves } from '../core/role.ts';
import { me, type NodeState } from '../core/state.ts';
import type { Backend } from './backend.ts';
import { HookTeller } from './hook-teller.ts';
import type { DriverRequests } from './requests.ts';
import { FileScheduleBook } from './schedule-book.ts';
import { openSchedules } from './schedules.ts';

/** Hooks and the inhibit directory of a node. */
export function automationDrivers(
  hooksDir: string,
  { hookTimeoutS, inhibitDir }: AutomationConfig,
): { readonly hooks: Hooks; readonly inhibitor: Inhibitor } {
  return {
    hooks: new DirectoryHooks(hooksDir, { timeoutMs: hookTimeoutS * 1000 }),
    inhibitor: new InhibitDirectory(inhibitDir),
  };
}

/** What may hold the switch of a node up. */
export function gateOf(
  { windows, laterH }: AutomationConfig,
  inhibitor: Inhibitor,
): NonNullable<GateParts['automation']> {
  return { windows, laterH, inhibitor };
}

/** What the automation of a daemon is made of. */
export interface AutomationParts {
  readonly config: Pick<Config, 'stateDir' | 'automation'>;
  readonly hooks: Hooks;
  readonly inhibitor: Inhibitor;
  readonly events: EventLog;
  readonly host: Host;
  readonly runner: Pick<Runner, 'state'>;
  readonly requests: DriverRequests;
  readonly log: (line: string) => void;
}

/** The desk of scheduled updates and the teller of hooks, as one. */
export interface Automation extends AsyncDisposable {
  start(): void;
  /** Called after each step of the runner. */
  look(state: NodeState): void;
}

/** Gives the backend its desk of scheduled updates, and lets hooks be told of what happens. */
export async function openAutomation(
  { config, ...parts }: AutomationParts,
  backend: Backend,
): Promise<Automation> {
  const { runner, events, log } = parts;
  const book = await FileScheduleBook.open(config.stateDir, log);
  const schedules = openSchedules({ ...parts, book, automation: config.automation }, backend);
  backend.schedules = schedules;
  const teller = new HookTeller({
    ...parts,
    node: me(runner.state),
    alarms: () => backend.status().alarms,
    tellsAlarms: () => serves(runner.state),
  });
  events.onEvent((event) => teller.onEvent(event));
  return {
    start: () => {
      schedules.start();
      teller.start();
    },
    look: (state) => teller.onState(state),
    [Symbol.asyncDispose]: async () => {
      await teller[Symbol.asyncDispose]();
      await schedules[Symbol.asyncDispose]();
    },
  };
}
