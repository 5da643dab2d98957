/**
 * Schemas of the picture of the pair: status, slots, events, and the rollouts of its history.
 * Always holds: each is tied to its type of core, so that neither changes alone. Imports core and
 * its own folder.
 */
import type { BootReason } from '../core/boot.ts';
import type { OperatorView } from '../core/access.ts';
import { ROLES } from '../core/access.ts';
import { NODES, SLOT_CLASSES } from '../core/model.ts';
import type { Progress, Release } from '../core/model.ts';
import { PHASES } from '../core/records.ts';
import type { Order, Outcome, Policy, Reason, RolloutImage } from '../core/records.ts';
import type { RolloutKind, RolloutNode, RolloutRecord, RolloutTarget } from '../core/records.ts';
import type { RolloutOptions, StepLog } from '../core/records.ts';
import type { Alarm, ChannelStatus, NodeRole, NodeStatus, PairStatus } from '../core/status.ts';
import type { ReformItem, RolloutStatus, SlotStatus, TandemEvent } from '../core/status.ts';
import { constant, list, maybe, number, object, orNull, ref, text } from './shape.ts';
import { time, whole, words, wordsOf, yesNo, type Schema } from './shape.ts';

/** A node of the pair: `A` or `B`, and never another. */
export const node: Schema = { type: 'string', enum: NODES };
const slot: Schema = { type: 'string', enum: ['A', 'B'], description: 'Place of an image.' };
const slotClass = words(SLOT_CLASSES);
const phase = words(PHASES, 'Phase of a rollout.');
const digest: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256.' };
const order = wordsOf<Order>({ 'active-first': true, 'standby-first': true });
const outcome = wordsOf<Outcome>({ none: true, committed: true, reverted: true });
const rolloutKind = wordsOf<RolloutKind>({ update: true, rollback: true });
/** An error code of the table; `tandem explain` knows them all. */
export const code = text('Stable word for a cause; `tandem explain CODE` says what to do.');

/** The same value for each of the two nodes. */
export function perNode(value: Schema, description = 'By node.'): Schema {
  return object<{ A: unknown; B: unknown }>(description, { A: value, B: value });
}

const PARTS: Readonly<Record<string, Schema>> = {
  Release: object<Release>('What an image says of itself.', {
    product: text(),
    class: slotClass,
    version: text('Semantic version.'),
    counter: whole('Orders releases.'),
    formatLevel: maybe(whole('Storage images: level of the format on disk.')),
  }),
  Progress: object<Progress>('Bytes done of bytes to do.', {
    doneBytes: whole(),
    totalBytes: whole(),
    rateBps: maybe(number('Bytes per second, once that means something.')),
    etaS: maybe(number('Seconds left, once that means something.')),
  }),
  Reason: object<Reason>('A cause and its sentence.', { code, message: text() }),
  SlotStatus: object<SlotStatus>('One slot of a node.', {
    class: slotClass,
    slot,
    release: orNull(ref('Release')),
    state: wordsOf<SlotStatus['state']>({
      booted: true,
      running: true,
      good: true,
      trial: true,
      invalid: true,
      unusable: true,
    }),
    default: yesNo('What the next boot takes.'),
  }),
  ChannelStatus: object<ChannelStatus>('One way to the peer.', {
    name: text(),
    up: yesNo(),
    ageMs: orNull(whole('Since the last message; null when there never was one.')),
    error: orNull(ref('Reason')),
  }),
  Alarm: object<Alarm>('Something that needs a person; it goes away with its cause.', {
    code,
    node: orNull(node),
    message: text(),
  }),
  OperatorView: object<OperatorView>('Who holds the right to change the pair at a console.', {
    user: text(),
    role: words(ROLES),
    where: orNull(text('Terminal or address.')),
    since: time(),
    sinceS: whole(),
  }),
};

const NODE_STATUS = object<NodeStatus>('One node, as far as the one that answers knows it.', {
  node,
  known: yesNo('Whether the facts are younger than 3 s; else they are unknown.'),
  ageMs: orNull(whole('Age of the facts; null when nothing was ever heard.')),
  heardAt: maybe(orNull(time())),
  role: wordsOf<NodeRole>({ active: true, standby: true, unknown: true }),
  serving: yesNo(),
  system: orNull(ref('Release')),
  storage: orNull(ref('Release')),
  program: orNull(text('Version of the daemon.')),
  boot: orNull(
    object<NonNullable<NodeStatus['boot']>>('The boot that runs.', {
      id: text(),
      reason: wordsOf<BootReason>({
        default: true,
        trial: true,
        'attempts-used': true,
        fallback: true,
      }),
      attempt: whole(),
    }),
  ),
  slots: list(ref('SlotStatus')),
  update: text('State word of its update: idle, installing, trial, committed, reverted ...'),
  outcome,
  reason: orNull(ref('Reason')),
  epoch: orNull(whole()),
  admitted: yesNo(),
  standDown: yesNo('It has promised not to take over.'),
  standDownFor: maybe(orNull(words(['update', 'frozen', 'operator']))),
  activity: orNull(
    object<NonNullable<NodeStatus['activity']>>('What it does now.', {
      name: text(),
      progress: orNull(ref('Progress')),
    }),
  ),
  store: orNull(
    object<NonNullable<NodeStatus['store']>>('Its copy of the store.', {
      role: text(),
      copy: text(),
      connected: yesNo(),
      sync: orNull(ref('Progress')),
    }),
  ),
});

const ROLLOUT_STATUS = object<RolloutStatus>('The update that runs, or ran last.', {
  id: text('Also the id of its job.'),
  kind: rolloutKind,
  version: text(),
  bundle: digest,
  phase,
  order,
  first: node,
  driver: orNull(node),
  startedAt: time(),
  phaseAt: time(),
  elapsedS: number(),
  estimateS: orNull(number()),
  ended: yesNo(),
  finalized: yesNo('Permanent on both nodes.'),
  canCancel: yesNo(),
  result: orNull(ref('Reason')),
  holdUntil: maybe(orNull(time('`HOLD_MIXED`: until when a person has to decide.'))),
  paused: maybe(
    orNull(
      object<NonNullable<RolloutStatus['paused']>>('Who paused it.', {
        by: text(),
        at: time(),
        restsAfter: orNull(phase),
      }),
    ),
  ),
  skipped: maybe(list(node)),
  logs: perNode(list(ref('StepLog'))),
});

const REFORM_ITEM = object<ReformItem>('One line of the checklist.', {
  name: wordsOf<ReformItem['name']>({
    link: true,
    versions: true,
    epoch: true,
    storage: true,
    service: true,
    admitted: true,
  }),
  state: wordsOf<ReformItem['state']>({ ok: true, waiting: true, failed: true, unknown: true }),
  text: text(),
  ageMs: maybe(orNull(whole())),
  channels: maybe(list(ref('ChannelStatus'))),
  agreed: maybe(
    orNull(
      object<NonNullable<ReformItem['agreed']>>('What both nodes keep to.', {
        protocol: whole(),
        featureLevel: whole(),
      }),
    ),
  ),
  epoch: maybe(
    object<NonNullable<ReformItem['epoch']>>('The highest one, and who holds it.', {
      number: whole(),
      holder: node,
    }),
  ),
  copies: maybe(perNode(text(), 'What each copy of the store is.')),
  progress: maybe(orNull(ref('Progress'))),
  service: maybe(
    object<NonNullable<ReformItem['service']>>('Who serves, and where.', {
      node: orNull(node),
      address: orNull(text()),
    }),
  ),
  admission: maybe(
    object<NonNullable<ReformItem['admission']>>('Whether the standby may take over.', {
      standby: node,
      counted: yesNo(),
      known: yesNo(),
    }),
  ),
});

const PAIR_STATUS = object<PairStatus>('The whole picture, answered by either node.', {
  schema: constant(1),
  at: time(),
  self: { ...node, description: 'The node that answers.' },
  pair: orNull(text()),
  state: wordsOf<PairStatus['state']>({
    HEALTHY: true,
    HEALTHY_MIXED: true,
    UPDATING: true,
    SYNCING: true,
    EXPOSED: true,
    ALONE: true,
    FROZEN: true,
    SAFE_MODE: true,
  }),
  ha: object<PairStatus['ha']>('Whether the loss of a node would cost the service.', {
    ok: yesNo(),
    text: text(),
    remedy: maybe(orNull(text('What a person can do, where nothing happens by itself.'))),
  }),
  nodes: perNode(ref('NodeStatus')),
  rollout: orNull(ref('RolloutStatus')),
  reform: list(ref('ReformItem')),
  reforming: maybe(
    orNull(
      object<NonNullable<PairStatus['reforming']>>('Since when it is not highly available.', {
        since: time(),
        elapsedS: number(),
        estimateS: orNull(number()),
      }),
    ),
  ),
  alarms: list(ref('Alarm')),
  operator: maybe(orNull(ref('OperatorView'))),
  automation: maybe(ref('AutomationView')),
  prepared: maybe(ref('PreparedBrief')),
  trust: maybe(
    object<NonNullable<PairStatus['trust']>>('Whose signatures the node that answers takes.', {
      version: orNull(whole('Of the trust root in force; null = none, every bundle is refused.')),
      threshold: orNull(whole()),
      keys: orNull(whole()),
      revoked: orNull(whole()),
      next: orNull(whole('In force with the commit of the update that brought it.')),
    }),
  ),
});

const ROLLOUT: Readonly<Record<string, Schema>> = {
  StepLog: object<StepLog>('One entry of a rollout on a node.', {
    at: time(),
    phase,
    text: text(),
    code: maybe(code),
  }),
  RolloutNode: object<RolloutNode>('A rollout on one node.', {
    from: object<RolloutNode['from']>('What it ran before.', {
      system: orNull(ref('Release')),
      storage: orNull(ref('Release')),
    }),
    skip: yesNo('It was up to date already.'),
    attempts: whole(),
    log: list(ref('StepLog')),
  }),
  RolloutRecord: object<RolloutRecord>('One rollout of the history.', {
    schema: whole(),
    id: text(),
    kind: rolloutKind,
    to: object<RolloutTarget>('What it brings.', {
      bundle: digest,
      bytes: whole(),
      product: text(),
      version: text(),
      counter: whole(),
      images: list(
        object<RolloutImage>('One image.', {
          name: text(),
          class: slotClass,
          release: ref('Release'),
          runsWith: text('Versions of the other class that it runs with.'),
        }),
      ),
    }),
    first: node,
    policy: object<Policy>('How it goes.', {
      order,
      onSecondFailure: words(['hold', 'rollback']),
      retries: whole(),
      soakS: number(),
      tries: whole(),
      deadmanS: number(),
    }),
    writer: object<RolloutRecord['writer']>('The higher one of two copies is right.', {
      epoch: whole(),
      seq: whole(),
    }),
    phase,
    nodes: perNode(ref('RolloutNode')),
    soak: orNull(
      object<NonNullable<RolloutRecord['soak']>>('The run that is watched.', {
        bootId: text(),
        run: text(),
      }),
    ),
    abort: orNull(
      object<NonNullable<RolloutRecord['abort']>>('Who cancelled it.', {
        by: text(),
        at: time(),
        reason: text(),
      }),
    ),
    paused: maybe(
      orNull(
        object<NonNullable<RolloutRecord['paused']>>('Who paused it.', { by: text(), at: time() }),
      ),
    ),
    options: maybe(
      object<RolloutOptions>('What was asked for besides.', {
        formatTarget: maybe(yesNo('The other slots are wiped before they are written.')),
        ignoreWindow: maybe(yesNo('The maintenance windows do not count.')),
      }),
    ),
    result: orNull(ref('Reason')),
    startedAt: time(),
    phaseAt: time(),
    estimateS: orNull(number()),
    finalized: yesNo(),
  }),
};

/** Part of `NAMED`; read it there. */
export const PAIR_SCHEMAS: Readonly<Record<string, Schema>> = {
  ...PARTS,
  ...ROLLOUT,
  NodeStatus: NODE_STATUS,
  RolloutStatus: ROLLOUT_STATUS,
  ReformItem: REFORM_ITEM,
  PairStatus: PAIR_STATUS,
  Event: object<TandemEvent>('Something that happened on one of the nodes.', {
    v: constant(1),
    seq: whole('Grows on both nodes together; `since` takes it, also after a failover.'),
    ts: time(),
    job: orNull(text()),
    node: orNull(node),
    phase: orNull(text()),
    state: text(),
    pct: orNull(number()),
    eta_s: orNull(number()),
    msg: text(),
    code: orNull(code),
  }),
};
