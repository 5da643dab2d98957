/**
 * The state of one console, as a value: what it knows, which screen is shown, what is typed, what
 * it waits for. Always holds: the first screen of the stack is the overview, so that going back
 * always ends there; what an answer has to do with is known by its number. Pure; imports core and
 * the shapes of the console.
 */
import type { BundleSource } from '../src/control/backend.ts';
import type { SessionView, UsersView } from '../src/core/access.ts';
import type { ErrorReport } from '../src/core/errors.ts';
import type { AuditEntry, PrecheckReport, TakeoverView } from '../src/core/operator.ts';
import type { PowerViews } from '../src/core/power.ts';
import type { RolloutRecord } from '../src/core/records.ts';
import type { SettingKey, SettingsView } from '../src/core/settings.ts';
import type { SupportView } from '../src/core/support.ts';
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
  'timed',
  'slots',
  'roles',
  'log',
  'more',
  'power',
  'support',
  'settings',
  'who',
  'users',
  'advice',
  'login',
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

/** What a form is filled for. */
export type FormUse =
  /** The change that is confirmed. */
  | { readonly use: 'plan'; readonly plan: Plan }
  | { readonly use: 'path' }
  | { readonly use: 'filter' }
  /** A login, also the one that unlocks a console which was left alone. */
  | { readonly use: 'login' }
  /** A new password with a recovery code. */
  | { readonly use: 'recover' }
  | { readonly use: 'setting'; readonly key: SettingKey }
  /** For how long a scheduled update is put off. */
  | {
      readonly use: 'defer';
      readonly id: string;
      readonly what: string;
      readonly choicesMin: readonly number[];
    };

/** One line that is typed. */
export interface Field {
  readonly name:
    'word' | 'reason' | 'path' | 'filter' | 'user' | 'password' | 'again' | 'code' | 'value';
  readonly label: string;
  readonly value: string;
  /** What has to be typed, or null when it is free. */
  readonly wanted: string | null;
  readonly needed: boolean;
  /** It is a password: never shown, and forgotten with the form. */
  readonly secret?: true;
}

/** What lies over a screen and takes the keys. */
export type Dialog =
  | {
      readonly kind: 'form';
      readonly purpose: FormUse;
      readonly fields: readonly Field[];
      readonly at: number;
      readonly problem: string | null;
    }
  | { readonly kind: 'leave' }
  | { readonly kind: 'note'; readonly title: string; readonly lines: readonly string[] };

/** What the log screen lists. */
export type LogList = 'events' | 'audit' | 'updates';

/** Whether somebody has to log in before anything is shown. */
export type Access =
  /** The daemon has not said it yet. */
  | { readonly at: 'unknown' }
  /** Somebody is logged in, or no login is needed. */
  | { readonly at: 'in' }
  | {
      readonly at: 'out';
      /** Why nobody is logged in any more, or why nobody can be; null at the begin. */
      readonly why: ErrorReport | null;
      /** Seconds for which no login is accepted, as far as the daemon has said. */
      readonly waitS: number;
    };

/** A recovery code that was made here: the daemon tells it once, so it is kept until its end. */
export interface RecoveryCode {
  readonly user: string;
  readonly code: string;
  readonly leftS: number;
}

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
  readonly waiting: {
    readonly id: number;
    readonly words: string;
    readonly ask: Ask['ask'];
  } | null;
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
  readonly access: Access;
  /** Seconds since the last key. */
  readonly quietS: number;
  /** What was typed at the login and is no secret: it survives leaving the form. */
  readonly typed: { readonly user: string; readonly code: string };
  readonly power: PowerViews | null;
  readonly support: SupportView | null;
  /** The job that makes a support archive for this console. */
  readonly making: string | null;
  readonly settings: SettingsView | null;
  readonly users: UsersView | null;
  readonly recovery: RecoveryCode | null;
}

/** What the world answers to an ask. */
export type Answer =
  | { readonly kind: 'refused'; readonly error: ErrorReport }
  | {
      readonly kind: 'changed';
      readonly message: string;
      readonly job: string | null;
      /** What comes of it is seen on the overview. */
      readonly home?: true;
    }
  | {
      readonly kind: 'checks';
      readonly source: BundleSource;
      readonly report: PrecheckReport;
    }
  | { readonly kind: 'bundles'; readonly bundles: readonly BundleChoice[] }
  | { readonly kind: 'history'; readonly rollouts: readonly RolloutRecord[] }
  | { readonly kind: 'audit'; readonly entries: readonly AuditEntry[] }
  | { readonly kind: 'takeover'; readonly view: TakeoverView }
  /** A login that was accepted. */
  | { readonly kind: 'session'; readonly view: SessionView }
  | { readonly kind: 'power'; readonly views: PowerViews }
  | { readonly kind: 'support'; readonly view: SupportView }
  /** A support archive is being made. */
  | { readonly kind: 'making'; readonly job: string }
  | { readonly kind: 'settings'; readonly view: SettingsView }
  | { readonly kind: 'users'; readonly view: UsersView }
  | { readonly kind: 'recovery'; readonly made: RecoveryCode }
  /** Nothing that anybody has to see. */
  | { readonly kind: 'nothing' };

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
  | { readonly open: FormUse }
  | { readonly note: { readonly title: string; readonly lines: readonly string[] } }
  | { readonly logout: true }
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
    access: { at: 'unknown' },
    quietS: 0,
    typed: { user: '', code: '' },
    power: null,
    support: null,
    making: null,
    settings: null,
    users: null,
    recovery: null,
  };
}

/** The screen that is shown: without a login nothing but the login and the help. */
export function shownScreen({ screens, access, facts }: State): ScreenName {
  const last = screens.at(-1) ?? 'overview';
  if (access.at === 'out') return last === 'help' ? 'help' : 'login';
  return facts.person?.watching === true ? 'progress' : last;
}
