/**
 * The section `automation` of the configuration: maintenance windows, hooks, and how far people may
 * put an update off. Always holds: a window or a zone that is not understood is a problem of the
 * file and never a window that does not count. Imports core.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MINUTES_PATTERN, readMinutes } from './core/schedule-time.ts';
import { readWindow, WINDOW_WORDS, type Window } from './core/window.ts';
import { isZone } from './core/zone-time.ts';

/** When updates may happen, what stops them, and what people may say to them. */
export interface AutomationConfig {
  /** Time zone of windows and schedules that name none. */
  readonly zone: string;
  /** When an update may begin and take the service away; none = at any time. */
  readonly windows: readonly Window[];
  /** While a file lies in it no update begins and none switches. */
  readonly inhibitDir: string;
  /** Seconds that a hook may take. */
  readonly hookTimeoutS: number;
  /** Hours for which a hook may ask again and again to be asked later. */
  readonly laterH: number;
  /** Hours by which a scheduled update may be late because nothing ran at its time. */
  readonly catchUpH: number;
  /** How often people may put a scheduled update off, and for how many minutes. */
  readonly deferrals: number;
  readonly choicesMin: readonly number[];
}

const ZONE = '^[A-Za-z][A-Za-z0-9_+/-]{0,63}$';

/** Plain words for the patterns here. */
export const AUTOMATION_WORDS: Readonly<Record<string, string>> = {
  [ZONE]: 'a time zone of IANA, e.g. Europe/Berlin or UTC',
};

/** JSON Schema of the section. */
export const AUTOMATION_SCHEMA = {
  type: 'object',
  description: 'When updates may happen, what stops them, and what people may say to them.',
  additionalProperties: false,
  default: {},
  properties: {
    zone: {
      type: 'string',
      maxLength: 64,
      pattern: ZONE,
      example: 'Europe/Berlin',
      derived: 'the time zone of the system',
      description: 'Time zone of windows and schedules that name none.',
    },
    windows: {
      type: 'array',
      maxItems: 32,
      items: { type: 'string', maxLength: 128 },
      default: [],
      description:
        'When an update may begin and take the service away, as "Sun 01:00-05:00" or ' +
        '"last Sun 23:00-03:00 Europe/Berlin"; none = at any time. The same on both nodes.',
    },
    inhibitDir: {
      type: 'string',
      maxLength: 4096,
      pattern: '^[^\\u0000]+$',
      derived: '<stateDir>/inhibit.d',
      description: 'While a file lies in this directory no update begins and none switches.',
    },
    hookTimeoutS: {
      type: 'integer',
      minimum: 1,
      maximum: 3600,
      default: 60,
      description: 'Seconds that a hook may take before it is ended.',
    },
    laterH: {
      type: 'number',
      minimum: 0,
      maximum: 8760,
      default: 24,
      description: 'Hours for which a hook may ask to be asked later, until that is a veto.',
    },
    catchUpH: {
      type: 'number',
      minimum: 0,
      maximum: 8760,
      default: 24,
      description:
        'Hours by which a scheduled update may be late, because nothing ran at its time.',
    },
    deferrals: {
      type: 'integer',
      minimum: 0,
      maximum: 100,
      default: 3,
      description: 'How often people may put a scheduled update off.',
    },
    choices: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      items: { type: 'string', maxLength: 8, pattern: MINUTES_PATTERN },
      default: ['1h', '4h', '1d'],
      description:
        'For how long they may put it off: minutes, hours or days, the first by default.',
    },
  },
} as const;

/** The section as the schema accepts it. */
export interface GivenAutomation {
  readonly zone?: string;
  readonly windows: readonly string[];
  readonly inhibitDir?: string;
  readonly hookTimeoutS: number;
  readonly laterH: number;
  readonly catchUpH: number;
  readonly deferrals: number;
  readonly choices: readonly string[];
}

function zoneOf({ zone }: GivenAutomation): string {
  if (zone !== undefined) return zone;
  // The tables of zones are large: a system without one of its own need not read them.
  const isSet = process.env['TZ'] !== undefined || existsSync('/etc/localtime');
  if (!isSet) return 'UTC';
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return isZone(own) ? own : 'UTC';
}

/** Completes the section; paths are taken from the folder. */
export function completeAutomation(
  given: GivenAutomation,
  folder: string,
  stateDir: string,
): AutomationConfig {
  const { windows, inhibitDir, choices, ...rest } = given;
  const zone = zoneOf(given);
  const read = windows.map((text) => readWindow(text, isZone(zone) ? zone : 'UTC'));
  return {
    ...rest,
    zone,
    windows: read.filter((one) => one !== null),
    inhibitDir:
      inhibitDir === undefined ? join(stateDir, 'inhibit.d') : resolve(folder, inhibitDir),
    choicesMin: choices.map((text) => readMinutes(text) ?? 60),
  };
}

/** Tells `add` of a zone or a window that is none. */
export function checkAutomation(
  given: GivenAutomation,
  add: (setting: string, found: string, accepted: string) => void,
): void {
  const { zone } = given;
  if (zone !== undefined && !isZone(zone)) {
    add('automation.zone', JSON.stringify(zone), 'a time zone of IANA, e.g. Europe/Berlin or UTC');
    return;
  }
  for (const text of given.windows) {
    if (readWindow(text, zoneOf(given)) !== null) continue;
    add('automation.windows', JSON.stringify(text), WINDOW_WORDS);
  }
}
