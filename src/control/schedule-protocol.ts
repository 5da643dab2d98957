/**
 * What clients ask of scheduled updates: bodies and their schemas. Imports core and its own folder.
 */
import type { ScheduleAnswer } from '../core/schedule.ts';
import type { BundleSource } from './backend.ts';
import { JOB_SCHEMAS, reason, TIME_SCHEMAS } from './protocol.ts';

/** An update that is to happen at a time. */
export interface ScheduleRequest {
  /**
   * A bundle that is staged on both nodes, a prepared update, or a path: staged at once, or with a
   * repetition read each time by the node that is active then.
   */
  readonly source: BundleSource;
  /** When, as a person types it: see `tandem update --help`; default: now, or the repetition. */
  readonly at?: string;
  /** A repetition, as `Sun 02:00`. */
  readonly every?: string;
  /** Time zone of IANA; default as configured. */
  readonly zone?: string;
  /** Seconds that people have to answer before it begins; 0 = it waits for an answer. */
  readonly inform?: number;
  /** How often people may put it off, and for how many minutes. */
  readonly deferrals?: number;
  readonly choices?: readonly number[];
  readonly mayCancel?: boolean;
  readonly order?: 'active-first' | 'standby-first';
  readonly onSecondFailure?: 'hold' | 'rollback';
  readonly formatTarget?: boolean;
  readonly ignoreWindow?: boolean;
  readonly reason?: string;
}

/** What a person says to a scheduled update. */
export type ScheduleWord = ScheduleAnswer & { readonly reason?: string };

/** Most seconds that people are given: a day. */
export const INFORM_MAX_S = 86_400;
/** Most minutes that something is put off for at a time: four weeks. */
export const DEFER_MAX_MIN = 40_320;

const { source, order, onSecondFailure, formatTarget, ignoreWindow } =
  JOB_SCHEMAS.update.properties;
const minutes = { type: 'integer', minimum: 1, maximum: DEFER_MAX_MIN } as const;

/** JSON Schema of `POST /v1/schedules`. */
export const SCHEDULE_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['source'],
  properties: {
    source,
    ...TIME_SCHEMAS,
    inform: { type: 'integer', minimum: 0, maximum: INFORM_MAX_S },
    deferrals: { type: 'integer', minimum: 0, maximum: 100 },
    choices: { type: 'array', minItems: 1, maxItems: 16, items: minutes },
    mayCancel: { type: 'boolean' },
    order,
    onSecondFailure,
    formatTarget,
    ignoreWindow,
    reason,
  },
} as const;

/** JSON Schema of `POST /v1/schedules/:id/answer`, by the value of `answer`. */
export const SCHEDULE_ANSWER_SCHEMAS = {
  now: {
    type: 'object',
    additionalProperties: false,
    required: ['answer'],
    properties: { answer: { const: 'now' }, reason },
  },
  defer: {
    type: 'object',
    additionalProperties: false,
    required: ['answer'],
    properties: { answer: { const: 'defer' }, minutes, reason },
  },
  cancel: {
    type: 'object',
    additionalProperties: false,
    required: ['answer'],
    properties: { answer: { const: 'cancel' }, reason },
  },
} as const;
