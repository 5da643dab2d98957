/**
 * What a person may change on a node without touching its configuration: how its consoles behave
 * and how they write dates. Always holds: every setting has a value that is safe, none of them can
 * stop the service or lock anybody out; a value outside its rule is never taken. Pure; imports only
 * core.
 */
import type { NodeId } from './model.ts';

/** The settings of a node, each with a value. */
export interface Settings {
  /** Bits per second of a console on a serial line. */
  readonly consoleSpeed: number;
  /** Minutes without a key after which a console logs its person out. */
  readonly idleMin: number;
  /** How a console writes a day: 2026-11-21, 21.11.2026 or 11/21/2026. */
  readonly dateOrder: DateOrder;
  /** Whose time a console shows: that of the appliance's zone, or UTC. */
  readonly timeZone: 'local' | 'utc';
}

/** Name of the file in the state directory, and of its copy that everybody may read. */
export const SETTINGS_FILE = 'settings.json';

/** How a day is written. */
export type DateOrder = 'iso' | 'day-first' | 'month-first';

/** The name of a setting, in the file, on the command line and on the screen. */
export type SettingKey = keyof Settings;

/** Speeds that the terminals and adapters of technicians are set to. */
const SPEEDS = [9600, 19_200, 38_400, 57_600, 115_200] as const;
/** Longest idle time: a working day is no idle time any more. */
const IDLE_MIN_MAX = 240;

interface Rule<T> {
  readonly fallback: T;
  readonly summary: string;
  /** From when on another value counts. */
  readonly applies: string;
  readonly accepted: string;
  /** The value that stands for the word, or null when it is none. */
  readonly read: (word: string) => T | null;
}

const oneOf =
  <T extends string | number>(words: readonly T[]) =>
  (word: string): T | null =>
    words.find((one) => String(one) === word) ?? null;

/** Every setting: what it does, its value when nobody has set it, and what is accepted. */
export const SETTING_RULES: { readonly [K in SettingKey]: Rule<Settings[K]> } = {
  consoleSpeed: {
    fallback: 9600,
    summary: 'bits per second of a console on a serial port',
    applies: 'when the console on that port is started anew',
    accepted: SPEEDS.join(', '),
    read: oneOf<number>(SPEEDS),
  },
  idleMin: {
    fallback: 10,
    summary: 'minutes without a key until a console logs out',
    applies: 'at once',
    accepted: `a whole number from 1 to ${IDLE_MIN_MAX}`,
    read: (word) => {
      const number = /^\d{1,3}$/.test(word) ? Number(word) : 0;
      return number >= 1 && number <= IDLE_MIN_MAX ? number : null;
    },
  },
  dateOrder: {
    fallback: 'iso',
    summary: '2026-11-21, 21.11.2026 or 11/21/2026',
    applies: 'at once',
    accepted: 'iso, day-first, month-first',
    read: oneOf<DateOrder>(['iso', 'day-first', 'month-first']),
  },
  timeZone: {
    fallback: 'local',
    summary: "zone of a time: the appliance's own, or UTC",
    applies: 'at once',
    accepted: 'local, utc',
    read: oneOf<Settings['timeZone']>(['local', 'utc']),
  },
};

/** Every key, in the order in which they are shown. */
export const SETTING_KEYS = Object.keys(SETTING_RULES) as readonly SettingKey[];

/** The settings of a node on which nobody has changed any. */
export const DEFAULT_SETTINGS: Settings = {
  consoleSpeed: SETTING_RULES.consoleSpeed.fallback,
  idleMin: SETTING_RULES.idleMin.fallback,
  dateOrder: SETTING_RULES.dateOrder.fallback,
  timeZone: SETTING_RULES.timeZone.fallback,
};

/** A network interface of a node as it is now. */
export interface NetworkInterface {
  readonly name: string;
  /** With the length of the network, as in 192.0.2.7/24. */
  readonly addresses: readonly string[];
}

/** How a node is reached; changed in its configuration, not here. */
export interface NetworkView {
  readonly host: string;
  readonly interfaces: readonly NetworkInterface[];
  /** Where the link to the peer listens, and where the peer is. */
  readonly link: { readonly listen: string; readonly peer: string; readonly bulk: string };
  /** Serial line to the peer, with its speed; null without one. */
  readonly serial: string | null;
  /** The address that clients of the service use. */
  readonly service: string;
}

/** What a node answers about its settings. */
export interface SettingsView {
  readonly node: NodeId;
  readonly settings: Settings;
  /** Keys that were set on this node; the others have their default. */
  readonly changed: readonly SettingKey[];
  /** What is wrong with the file, or null; then defaults count. */
  readonly problem: string | null;
  /** Where the settings are kept. */
  readonly file: string;
  readonly network: NetworkView;
}

/** The answer to a setting that was changed. */
export interface SettingAnswer {
  readonly key: SettingKey;
  /** False when it was so already. */
  readonly changed: boolean;
  readonly message: string;
}

/** The key of that name, or null. */
export function settingKey(name: string): SettingKey | null {
  return SETTING_KEYS.find((key) => key === name) ?? null;
}

/** The settings with the word as value of a key; null when the key does not take it. */
export function withSetting(settings: Settings, key: SettingKey, word: string): Settings | null {
  const value = SETTING_RULES[key].read(word);
  return value === null ? null : { ...settings, [key]: value };
}
