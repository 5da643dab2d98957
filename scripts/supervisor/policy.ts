/**
 * The decisions of an appliance's firmware: which slot is loaded, what follows the end of the
 * program, and when the watchdog bites. Always holds: a trial is loaded only after its attempt was
 * saved and confirmed; every choice ends, because no slot is tried twice in one boot. No process,
 * no file and no clock in here: all of them come in as arguments. Imports core.
 */
import {
  afterLoadFailure,
  selectBoot,
  stateFromSeals,
  type BootCounter,
  type BootInfo,
  type BootState,
  type CommitMarks,
} from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';

/** What was loaded; the boot id is added where the boot begins. */
export type Choice = Omit<BootInfo, 'bootId'>;

/** What the loader needs from the disk. */
export interface LoaderIo {
  /** Saves the counter and reads it back; throws when it is not there afterwards. */
  save(counter: BootCounter): Promise<void>;
  /** True when the slot was loaded; false, with a log line, when it cannot be. */
  load(slot: Slot): Promise<boolean>;
  readonly log: (text: string) => void;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Selects and loads a slot, or null for "reboot and try again". A counter that cannot be read
 * (null) or saved boots the default slot; a trial that cannot be loaded loses all its attempts at
 * once. Without a state the seals decide, which are read only then, and the reason is `fallback`.
 */
export async function chooseSlot(
  found: { readonly state: BootState | null; readonly counter: BootCounter | null },
  marks: () => Promise<CommitMarks>,
  io: LoaderIo,
): Promise<Choice | null> {
  if (found.state !== null) return loadSlot(found.state, found.counter, io);
  io.log('the boot state is lost: the slot that was committed last boots, as the seals tell');
  const state = stateFromSeals(await marks());
  if (state === null) io.log('no slot was ever committed, as far as the seals tell');
  const choice = state === null ? null : await loadSlot(state, found.counter, io);
  return choice === null ? null : { ...choice, reason: 'fallback' };
}

async function loadSlot(
  state: BootState,
  counter: BootCounter | null,
  io: LoaderIo,
): Promise<Choice | null> {
  let choice = await firstChoice(state, counter, io);
  const tried = new Set<Slot>();
  for (;;) {
    if (await io.load(choice.slot)) return choice;
    tried.add(choice.slot);
    if (choice.reason === 'trial') await spendAttempts(state, io);
    const next = afterLoadFailure(state, choice.slot);
    if (next === null || tried.has(next)) return null;
    choice = { slot: next, reason: 'fallback', attempt: 0 };
  }
}

/** The slot to begin with; the attempt of a trial is counted before it is returned. */
async function firstChoice(
  state: BootState,
  counter: BootCounter | null,
  io: LoaderIo,
): Promise<Choice> {
  const fallback: Choice = { slot: state.default, reason: 'fallback', attempt: 0 };
  if (counter === null && state.trial !== null) {
    // Attempts that cannot be counted would be endless.
    io.log('the try counter cannot be read, so the default slot boots');
    return fallback;
  }
  const { slot, reason, attempt, save } = selectBoot(state, counter ?? { trialId: 0, used: 0 });
  try {
    if (save !== null) await io.save(save);
    return { slot, reason, attempt };
  } catch (error) {
    io.log(`the attempt cannot be counted, so the default slot boots: ${words(error)}`);
    return fallback;
  }
}

/** A trial that cannot even be loaded will not load the next time either. */
async function spendAttempts(state: BootState, io: LoaderIo): Promise<void> {
  try {
    await io.save({ trialId: state.trialId, used: state.tries });
  } catch (error) {
    io.log(`the attempts of the trial cannot be spent: ${words(error)}`);
  }
}

/** Exit status by which the program asks for a reboot. */
export const EXIT_REBOOT = 42;

/** Exit status by which the program asks for the power to go off, until somebody switches it on. */
export const EXIT_POWER_OFF = 43;

/** Signal by which the program ends itself to have its power cut and restored. */
export const SIGNAL_RESET = 'SIGUSR2';

/** How a program ended: with a status, or by a signal. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** How many crashes within which time are one too many. */
export interface CrashRule {
  readonly limit: number;
  readonly windowMs: number;
}
/** The third crash within 60 s reboots the appliance. */
export const CRASH_RULE: CrashRule = { limit: 3, windowMs: 60_000 };

/** What follows the end of the program, with the crashes that still count. */
export interface AfterEnd {
  readonly do: 'reboot' | 'restart' | 'off';
  readonly why: string;
  readonly crashesMs: readonly number[];
}

/**
 * Exit status 42 is a reboot, 43 the power off, an end by SIGUSR2 a power cycle: it waits for
 * nothing, not for a disk that hangs either. Any other end, 0 too, is a crash: the program starts
 * again within the same boot, unless this was one crash too many within the window. Times are
 * monotonic.
 */
export function afterEnd(
  crashesMs: readonly number[],
  end: ProgramEnd,
  nowMs: number,
  rule: CrashRule = CRASH_RULE,
): AfterEnd {
  if (end.code === EXIT_REBOOT) {
    return { do: 'reboot', why: 'the program asked for a reboot', crashesMs: [] };
  }
  if (end.code === EXIT_POWER_OFF) {
    return { do: 'off', why: 'the program asked for the power to go off', crashesMs: [] };
  }
  if (end.signal === SIGNAL_RESET) {
    return { do: 'reboot', why: 'the program asked for a power cycle', crashesMs: [] };
  }
  const how = end.signal === null ? `status ${String(end.code)}` : `signal ${end.signal}`;
  const recent = [...crashesMs.filter((at) => nowMs - at < rule.windowMs), nowMs];
  if (recent.length >= rule.limit) {
    const why = `the program ended with ${how}, time ${String(recent.length)} in a row`;
    return { do: 'reboot', why, crashesMs: [] };
  }
  return { do: 'restart', why: `the program ended with ${how}`, crashesMs: recent };
}

/** What the watchdog remembers: the newest mark of its file and when that was seen. */
export interface WatchdogState {
  readonly mark: string;
  readonly sinceMs: number;
  readonly armed: boolean;
}

/**
 * The watchdog after one more look at its file. It arms itself with the first feed; a mark that
 * does not change for `limitMs` bites.
 */
export function watchdogStep(
  state: WatchdogState,
  mark: string,
  nowMs: number,
  limitMs: number,
): { readonly state: WatchdogState; readonly bites: boolean } {
  if (mark !== state.mark) return { state: { mark, sinceMs: nowMs, armed: true }, bites: false };
  return { state, bites: state.armed && nowMs - state.sinceMs >= limitMs };
}
