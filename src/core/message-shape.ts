/**
 * What a report and a rollout record of the peer must have so that the machine can read them: the
 * fields that it looks into, and of which kind they are. A newer program may send more, and words
 * that this one does not know where nothing hangs on them; what lacks a field here is not
 * understood and is ignored as a whole, so that no message of a peer can end this node. A field
 * that a later program adds must be `maybe`, or the older ones would be refused. Pure; imports only
 * core.
 */
import { PHASES } from './records.ts';
import { amount, count, each, fields, flag, list, maybe, node, object } from './shape-checks.ts';
import { orNull, text, type Check } from './shape-checks.ts';

/** Lowest and highest; a later program may say more behind them. */
const range: Check = (value) =>
  Array.isArray(value) && value.length >= 2 && value.every(count) && value[0] <= value[1];

const release = fields({ version: text, counter: count });
const reason = fields({ code: text, message: text });
const progress = fields({ doneBytes: amount, totalBytes: amount });
const role = fields({ epoch: count, holder: node, peerMayTakeOver: flag });
const generation = fields({ current: text, base: orNull(text), history: list(text) });
const seal = orNull(fields({ release, runsWith: text }));
const seals = fields({ A: seal, B: seal });

const storageTrial = fields({ systemSlot: node, old: node, new: node, proven: flag });

const update: Check = (value) =>
  fields({ state: text })(value) &&
  object(value) &&
  (value['state'] === 'idle' || fields({ rollout: text, attempt: count })(value)) &&
  (value['reason'] === undefined || reason(value['reason']));

const nodeRecord = fields({
  node,
  pair: text,
  role,
  standDown: orNull(fields({ rollout: text, epoch: count })),
  promises: maybe(count),
  knownStale: flag,
  slots: fields({ default: node, outcome: text, reason: orNull(reason) }),
  storage: fields({ current: node, previous: orNull(node), trial: orNull(storageTrial) }),
  update,
  canRollBack: flag,
  releaseFloor: count,
});

const store = fields({
  role: text,
  epoch: count,
  connected: flag,
  local: text,
  peer: text,
  frozen: flag,
  splitBrain: flag,
  sync: orNull(progress),
  generation,
  formatLevel: maybe(count),
});

/** What every protocol keeps in its place: who speaks, which protocols, and which program. */
export const isReportHead: Check = fields({ node, pair: text, program: text, protocol: range });

/** Whether the machine can read this as the report of a node. */
export const isReport: Check = fields({
  node,
  protocol: range,
  features: maybe(count),
  pair: text,
  bootId: text,
  run: text,
  seq: count,
  program: text,
  boot: fields({ bootId: text, slot: node, reason: text, attempt: count }),
  record: nodeRecord,
  serving: flag,
  admitted: flag,
  admits: orNull(fields({ bootId: text, epoch: count, promises: maybe(count) })),
  wantsDown: maybe(flag),
  takeover: maybe(text),
  knowsTakeover: maybe(text),
  takeoverTurn: maybe(count),
  knows: maybe(orNull(fields({ run: text, turn: count }))),
  rollout: orNull(fields({ id: text, epoch: count, seq: count, phase: text })),
  system: orNull(release),
  storage: orNull(release),
  seals: fields({ system: seals, storage: seals }),
  depot: list(text),
  store,
  activity: orNull(fields({ name: text, progress: orNull(progress) })),
  troubles: each(reason),
  bulkPort: orNull(count),
  staging: maybe(fields({ bundle: text, bytes: count })),
  freeBytes: orNull(amount),
});

const log = list(fields({ at: text, phase: text, text }));
const from = fields({ system: orNull(release), storage: orNull(release) });
const rolloutNode = fields({ from, skip: flag, attempts: count, log });
const image = fields({ name: text, class: text, release, runsWith: text });

/** Whether the machine can read this as a rollout record, and act on its phase. */
export const isRolloutRecord: Check = fields({
  schema: count,
  id: text,
  kind: (value) => value === 'update' || value === 'rollback',
  to: fields({
    bundle: text,
    bytes: count,
    product: text,
    version: text,
    counter: count,
    images: list(image),
  }),
  first: node,
  policy: fields({
    order: text,
    onSecondFailure: text,
    retries: count,
    soakS: amount,
    tries: count,
    deadmanS: amount,
  }),
  writer: fields({ epoch: count, seq: count }),
  phase: (value) => PHASES.some((phase) => phase === value),
  nodes: fields({ A: rolloutNode, B: rolloutNode }),
  soak: orNull(fields({ bootId: text, run: text })),
  abort: orNull(fields({ by: text, at: text, reason: text })),
  options: maybe(fields({ formatTarget: maybe(flag), ignoreWindow: maybe(flag) })),
  result: orNull(reason),
  startedAt: text,
  phaseAt: text,
  estimateS: orNull(amount),
  finalized: flag,
});
