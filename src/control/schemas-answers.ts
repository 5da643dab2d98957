/**
 * Schemas of the other answers: jobs, words of an operator, checks, storage, settings, support,
 * access, errors. Always holds: each is tied to its type, so that neither changes alone. Imports
 * core and its own folder.
 */
import type { LoginAnswer, OperatorAnswer, SessionView, ShellAnswer } from '../core/access.ts';
import { ROLES, type UserAnswer, type UsersView, type UserView, type Via } from '../core/access.ts';
import type { ErrorReport } from '../core/errors.ts';
import type { ActAnswer, ActKind, AuditEntry, Estimate, PrecheckReport } from '../core/operator.ts';
import type { PrecheckRow, TakeoverView } from '../core/operator.ts';
import type { PowerKind, PowerView } from '../core/power.ts';
import type { ChangePreview } from '../core/preview.ts';
import { PHASES } from '../core/records.ts';
import type { ReplaceOffer } from '../core/replace.ts';
import { RESULT_WORDS } from '../core/schedule.ts';
import { SETTING_KEYS, type NetworkInterface, type NetworkView } from '../core/settings.ts';
import type { DateOrder, SettingAnswer, Settings, SettingsView } from '../core/settings.ts';
import type { JobKind, JobStatus, ValidateReport } from '../core/status.ts';
import type { Amount, Held, SplitSide, SplitView, StorageView } from '../core/store.ts';
import type { StoreDifference, VerifyReport, VerifyState } from '../core/store.ts';
import type { SupportArchive, SupportView } from '../core/support.ts';
import type { StagedBundle } from './backend.ts';
import { constant, list, mapOf, maybe, number, object, orNull, ref, text } from './shape.ts';
import { time, whole, words, wordsOf, yesNo, type Schema } from './shape.ts';
import { code, node, PAIR_SCHEMAS, perNode } from './schemas-pair.ts';
import { SCHEDULE_SCHEMAS } from './schemas-schedule.ts';
import { PREPARE_SCHEMAS } from './schemas-prepare.ts';

const phase = words(PHASES);
const role = words(ROLES);
const via = wordsOf<Via>({ control: true, console: true, remote: true });
const refusal = orNull(
  object<NonNullable<PowerView['refusal']>>('Why it is refused.', {
    code,
    message: text(),
    next: text(),
  }),
);

const CHANGES: Readonly<Record<string, Schema>> = {
  JobStatus: object<JobStatus>('One job, running or ended.', {
    id: text(),
    kind: wordsOf<JobKind>({
      validate: true,
      stage: true,
      prepare: true,
      update: true,
      rollback: true,
      commit: true,
      verify: true,
      resync: true,
      resolve: true,
      support: true,
      replace: true,
      restart: true,
      shutdown: true,
    }),
    state: wordsOf<JobStatus['state']>({ running: true, done: true, failed: true }),
    exit: orNull(whole('Exit status of a command that waited for it; null while it runs.')),
    code: orNull(code),
    message: text(),
    next: orNull(text('What to do.')),
    startedAt: time(),
    endedAt: orNull(time()),
    result: maybe(words(RESULT_WORDS, 'Of an update that has ended.')),
  }),
  ReplaceOffer: object<ReplaceOffer>('What a new node needs to join, told once.', {
    job: ref('JobStatus'),
    code: text('One-time code, for people.'),
    host: text(),
    port: whole(),
    validS: whole('Seconds that the code lives.'),
    tries: whole('Wrong codes that end it.'),
    node,
    version: orNull(text('What the new node must run.')),
  }),
  ActAnswer: object<ActAnswer>('What a word of an operator did.', {
    act: wordsOf<ActKind>({
      switchover: true,
      takeover: true,
      'stand-down': true,
      pause: true,
      resume: true,
    }),
    changed: yesNo('False when it was so already.'),
    message: text(),
    serving: orNull(node),
    to: maybe(node),
    restsAfter: maybe(orNull(phase)),
  }),
  TakeoverView: object<TakeoverView>('What the word that the peer is off would do.', {
    node,
    peer: node,
    refusal,
    needless: yesNo(),
    lastHeardAt: orNull(time()),
    lastHeardS: orNull(whole()),
    does: text(),
    costs: list(text()),
    word: text('What a person types to confirm it.'),
  }),
  PowerView: object<PowerView>('What the end of this boot would do.', {
    kind: wordsOf<PowerKind>({ restart: true, shutdown: true }),
    node,
    refusal,
    forceable: yesNo(),
    handsOverTo: orNull(node),
    does: text(),
    costs: list(text()),
    word: text(),
  }),
  ChangePreview: object<ChangePreview>('A change that was judged and not begun.', {
    change: text('Kind of the job, or word of the operator.'),
    refusal: orNull(ref('ErrorReport')),
    changes: yesNo('False when it is so already, and when it would be refused.'),
    does: orNull(text('What it would do.')),
    estimateS: orNull(number('Seconds that it would take, as far as that is known.')),
  }),
  AuditEntry: object<AuditEntry>('What somebody asked this node for, and how it ended.', {
    v: constant(1),
    at: time(),
    node,
    act: text(),
    by: text('User of the session, name of the certificate, or what the caller said.'),
    via: maybe(via),
    reason: orNull(text()),
    result: wordsOf<AuditEntry['result']>({
      accepted: true,
      done: true,
      unchanged: true,
      refused: true,
      failed: true,
    }),
    code: orNull(code),
    message: text(),
    job: orNull(text()),
  }),
};

const CHECKS: Readonly<Record<string, Schema>> = {
  ValidateReport: object<ValidateReport>('A bundle judged against the pair.', {
    ok: yesNo(),
    bundle: orNull(text()),
    product: orNull(text()),
    version: orNull(text()),
    lagging: list(text('As in `A/system`.')),
    checks: list(
      object<ValidateReport['checks'][number]>('One check.', {
        name: text(),
        ok: yesNo(),
        code: orNull(code),
        detail: text(),
      }),
    ),
    code: orNull(code),
    message: text(),
    next: orNull(text()),
  }),
  Estimate: object<Estimate>('What a rollout is expected to take.', {
    totalS: number(),
    phases: list(object<Estimate['phases'][number]>('One phase.', { phase, seconds: number() })),
    basis: wordsOf<Estimate['basis']>({ history: true, sizes: true }),
    text: text(),
  }),
  PrecheckReport: object<PrecheckReport>('Every check before an update; nothing was changed.', {
    ok: yesNo(),
    bundle: orNull(text()),
    version: orNull(text()),
    checks: list(
      object<PrecheckRow>('One check.', {
        name: text(),
        result: wordsOf<PrecheckRow['result']>({
          ok: true,
          failed: true,
          warning: true,
          unknown: true,
        }),
        code: orNull(code),
        detail: text(),
        fix: orNull(text()),
      }),
    ),
    code: orNull(code),
    message: text(),
    next: orNull(text()),
    estimate: orNull(ref('Estimate')),
  }),
  StagedBundle: object<StagedBundle>('A bundle that an update can start from by its id.', {
    bundle: text('SHA-256 of its manifest.'),
    product: orNull(text()),
    version: orNull(text()),
    bytes: orNull(whole()),
    nodes: list(node),
  }),
};

const held = wordsOf<Held>({ absent: true, damaged: true, present: true });
const amount = object<Amount>('Records and bytes.', { records: whole(), bytes: whole() });

const STORAGE: Readonly<Record<string, Schema>> = {
  StoreDifference: object<StoreDifference>('A key of which the copies differ.', {
    key: text(),
    A: held,
    B: held,
  }),
  VerifyReport: object<VerifyReport>('A comparison of both copies.', {
    id: text(),
    state: wordsOf<VerifyState>({
      running: true,
      equal: true,
      differs: true,
      repaired: true,
      failed: true,
      cancelled: true,
    }),
    node,
    startedAt: time(),
    endedAt: orNull(time()),
    records: whole(),
    bytes: whole(),
    totalBytes: whole(),
    rateBps: orNull(number()),
    etaS: orNull(number()),
    again: whole(),
    unsettled: whole(),
    differences: whole(),
    keys: list(ref('StoreDifference')),
    damaged: perNode(whole()),
    code: orNull(text()),
    message: orNull(text()),
  }),
  SplitSide: object<SplitSide>('One copy of a split brain.', {
    epoch: whole(),
    aloneSince: orNull(time()),
    all: amount,
    only: amount,
    other: amount,
  }),
  StorageView: object<StorageView>('What the storage software knows of both copies.', {
    verify: orNull(ref('VerifyReport')),
    split: orNull(
      object<SplitView>('Both copies, while they are split.', {
        A: ref('SplitSide'),
        B: ref('SplitSide'),
        keys: list(ref('StoreDifference')),
      }),
    ),
  }),
};

const NODE: Readonly<Record<string, Schema>> = {
  SettingsView: object<SettingsView>('The settings of the node, and its network.', {
    node,
    settings: object<Settings>('Each with its value.', {
      consoleSpeed: whole(),
      idleMin: whole(),
      dateOrder: wordsOf<DateOrder>({ iso: true, 'day-first': true, 'month-first': true }),
      timeZone: wordsOf<Settings['timeZone']>({ local: true, utc: true }),
    }),
    changed: list(words(SETTING_KEYS)),
    problem: orNull(text()),
    file: text(),
    network: object<NetworkView>('How the node is reached.', {
      host: text(),
      interfaces: list(
        object<NetworkInterface>('One interface.', { name: text(), addresses: list(text()) }),
      ),
      link: object<NetworkView['link']>('The link to the peer.', {
        listen: text(),
        peer: text(),
        bulk: text(),
      }),
      serial: orNull(text()),
      service: text(),
    }),
  }),
  SettingAnswer: object<SettingAnswer>('A setting that was set.', {
    key: words(SETTING_KEYS),
    changed: yesNo(),
    message: text(),
  }),
  SupportArchive: object<SupportArchive>('One archive.', {
    name: text(),
    bytes: whole(),
    at: time(),
  }),
  SupportView: object<SupportView>('The archives that the node keeps.', {
    node,
    dir: text(),
    keptMax: whole(),
    bytesMax: whole(),
    archives: list(ref('SupportArchive')),
  }),
};

const SESSION = {
  user: text(),
  role,
  via,
  node,
  where: orNull(text()),
  idleS: orNull(whole()),
  leftS: orNull(whole()),
  watching: yesNo(),
  operator: yesNo('Whether this session holds the right to change the pair.'),
} as const;

const ACCESS: Readonly<Record<string, Schema>> = {
  SessionView: object<SessionView>('Who asks, with which role, and for how long.', SESSION),
  LoginAnswer: object<LoginAnswer>('A login; the token goes into `Authorization: Bearer`.', {
    ...SESSION,
    token: text(),
  }),
  OperatorAnswer: object<OperatorAnswer>('The right to change the pair.', {
    changed: yesNo(),
    message: text(),
    operator: orNull(ref('OperatorView')),
  }),
  UserView: object<UserView>('One user of the node.', {
    name: text(),
    role,
    addedAt: time(),
    passwordAt: time(),
    failures: whole(),
    lockedS: whole(),
    recoveryS: orNull(whole()),
    sessions: whole(),
  }),
  UsersView: object<UsersView>('The users of the node.', {
    users: list(ref('UserView')),
    unknownLockedS: whole(),
  }),
  UserAnswer: object<UserAnswer>('A user that was changed.', {
    message: text(),
    user: orNull(ref('UserView')),
    code: maybe(text('Recovery code, shown this once.')),
  }),
  ShellAnswer: object<ShellAnswer>('A service shell.', { open: yesNo() }),
};

/** An error as every refused request is answered. */
export interface ErrorAnswer {
  readonly error: ErrorReport;
  /** Of the answer's `x-request-id`; absent where the request could not be read. */
  readonly request?: string;
}

const ERRORS: Readonly<Record<string, Schema>> = {
  ErrorReport: object<ErrorReport>('A cause, its sentence, and what to do.', {
    code,
    message: text('What was found and what was expected; never a stack.'),
    next: text('What to do.'),
    detail: maybe(
      mapOf(
        { type: ['string', 'number', 'boolean', 'array'], items: { type: 'string' } },
        'Facts of the cause, by name.',
      ),
    ),
  }),
  ErrorAnswer: object<ErrorAnswer>('A refused request.', {
    error: ref('ErrorReport'),
    request: maybe(text('Number of the request since the daemon started.')),
  }),
};

/** Every schema that an answer may name. */
export const NAMED: Readonly<Record<string, Schema>> = {
  ...PAIR_SCHEMAS,
  ...SCHEDULE_SCHEMAS,
  ...CHANGES,
  ...CHECKS,
  ...PREPARE_SCHEMAS,
  ...STORAGE,
  ...NODE,
  ...ACCESS,
  ...ERRORS,
};
