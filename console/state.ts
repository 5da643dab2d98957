/**
 * The state of one console, as a value: what it knows, which screen is shown, what is typed, what
 * it waits for. Always holds: the first screen of the stack is the overview, so that going back
 * always ends there; what an answer has to do with is known by its number. Pure; imports core and
 * the shapes of the console.
 */
import type { BundleSource } from '../src/control/backend.ts';
import type { ErrorReport } from '../src/core/errors.ts';
import type { AuditEntry, PrecheckReport, TakeoverView } from '../src/core/operator.ts';
import type { RolloutRecord } from '../src/core/records.ts';
import type { RenderOptions } from '../src/cli/render.ts';
import { noFacts, type Facts } from './facts.ts';
import type { Line, Style } from './picture.ts';
import type { Ask, Plan } from './plans.ts';

/** Every screen. */
export const SCREENS = [
  'overview',
  'details',
  'cluster',
  'choose',
  'checks',
  'progress',
  'slots',
  'roles',
  'log',
  'help',
] as const;
/** One of them. */
export type ScreenName = (typeof SCREENS)[number];

/** A bundle that can be chosen. */
export interface BundleChoice {
  readonly source: BundleSource;
  /** Path, or version and begin of the id. */
  readonly name: string;
  readonly note: string;
}

/** One line that is typed. */
export interface Field {
  readonly name: 'word' | 'reason' | 'path' | 'filter';
  readonly label: string;
  readonly value: string;
  /** What has to be typed, or null when it is free. */
  readonly wanted: string | null;
  readonly needed: boolean;
}

/** What lies over a screen and takes the keys. */
export type Dialog =
  | {
      readonly kind: 'form';
      /** The change that is confirmed; null for a path or a filter. */
      readonly plan: Plan | null;
      readonly fields: readonly Field[];
      readonly at: number;
      readonly problem: string | null;
    }
  | { readonly kind: 'leave' }
  | { readonly kind: 'note'; readonly title: string; readonly lines: readonly string[] };

/** What the log screen lists. */
export type LogList = 'events' | 'audit' | 'updates';

/** One console. */
export interface State {
  readonly facts: Facts;
  /** The last one is shown; the first one is always the overview. */
  readonly screens: readonly ScreenName[];
  /** First line of the body that is shown. */
  readonly top: number;
  /** Which of the rows that can be chosen is. */
  readonly chosen: number;
  readonly dialog: Dialog | null;
  /** One line of news below the body. */
  readonly flash: { readonly text: string; readonly style: Style } | null;
  /** What the person waits for; its answer carries the number. */
  readonly waiting: { readonly id: number; readonly words: string } | null;
  /** The job that was begun here and is not seen in the status yet. */
  readonly job: string | null;
  /** Number of the last ask. */
  readonly asked: number;
  readonly list: LogList;
  readonly filter: string;
  readonly bundles: readonly BundleChoice[] | null;
  /** The bundle that was chosen, and what the checks said about it. */
  readonly source: BundleSource | null;
  readonly checks: PrecheckReport | null;
  readonly audit: readonly AuditEntry[] | null;
  readonly history: readonly RolloutRecord[] | null;
}

/** What the world answers to an ask. */
export type Answer =
  | { readonly kind: 'refused'; readonly error: ErrorReport }
  | { readonly kind: 'changed'; readonly message: string; readonly job: string | null }
  | {
      readonly kind: 'checks';
      readonly source: BundleSource;
      readonly report: PrecheckReport;
    }
  | { readonly kind: 'bundles'; readonly bundles: readonly BundleChoice[] }
  | { readonly kind: 'history'; readonly rollouts: readonly RolloutRecord[] }
  | { readonly kind: 'audit'; readonly entries: readonly AuditEntry[] }
  | { readonly kind: 'takeover'; readonly view: TakeoverView };

/** An ask with the number that its answer carries. */
export interface Numbered {
  readonly id: number;
  readonly ask: Ask;
}

/** A state, and what is asked of the world on the way to it. */
export interface Step {
  readonly state: State;
  readonly asks: readonly Numbered[];
}

/** Where a hot key leads. */
export type Target =
  | { readonly go: ScreenName }
  | { readonly plan: Plan }
  | { readonly ask: Ask; readonly words: string }
  | { readonly list: LogList }
  | { readonly type: 'path' | 'filter' }
  | { readonly leave: true };

/** One letter of a screen. */
export interface HotKey {
  readonly letter: string;
  readonly label: string;
  readonly target: Target;
  /** Why it is not possible now, or null. */
  readonly refusal: string | null;
}

/** What a screen shows between its head and its foot. */
export interface Body {
  readonly lines: readonly Line[];
  /** Numbers of the lines that can be chosen; absent where there is nothing to choose. */
  readonly rows?: readonly number[];
}

/** One screen. */
export interface Screen {
  readonly title: string;
  readonly body: (state: State, options: RenderOptions) => Body;
  readonly keys: (state: State) => readonly HotKey[];
  /** Where Enter leads; absent where it leads nowhere. */
  readonly enter?: (state: State) => Target | null;
}

/** A console that was just opened. */
export function firstState(readonly: boolean): State {
  return {
    facts: noFacts(readonly),
    screens: ['overview'],
    top: 0,
    chosen: 0,
    dialog: null,
    flash: null,
    waiting: null,
    job: null,
    asked: 0,
    list: 'events',
    filter: '',
    bundles: null,
    source: null,
    checks: null,
    audit: null,
    history: null,
  };
}

/** The screen that is shown. */
export function shownScreen({ screens }: State): ScreenName {
  return screens.at(-1) ?? 'overview';
}
