/**
 * A prepared update as it comes from a disk or from the peer: taken when it has what this program
 * looks into, else not at all. A field that a later program adds must be `maybe` here. Pure;
 * imports only core.
 */
import { PREPARE_STAGES, type Preparation } from './prepare.ts';
import { amount, count, fields, flag, list, maybe, node, object } from './shape-checks.ts';
import { orNull, text, type Check } from './shape-checks.ts';

const either =
  (...words: readonly string[]): Check =>
  (value) =>
    words.some((word) => word === value);
const digest: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const word = fields({ by: text, reason: orNull(text), at: text });
const perNode = (check: Check): Check => fields({ A: check, B: check });

const status = fields({
  state: either('waiting', 'running', 'failed', 'done'),
  tries: count,
  code: orNull(text),
  message: text,
  at: orNull(text),
  failing: maybe(fields({ code: text, message: text, since: text })),
});
const stages = fields(Object.fromEntries(PREPARE_STAGES.map((stage) => [stage, status])));
const column = fields({ seq: count, retry: count, plan: orNull(digest), stages });

const options = fields({
  order: either('active-first', 'standby-first'),
  onSecondFailure: either('hold', 'rollback'),
});
const release = orNull(fields({ version: text, counter: count }));
const image = fields({ name: text, class: text, version: text, counter: count, imageId: digest });
const plannedNode = fields({
  from: fields({ system: release, storage: release }),
  skip: flag,
  images: list(image),
});

/** Whether a value is a plan that this program can compare with another. */
export const isPlan: Check = fields({
  v: (value) => value === 1,
  id: text,
  bundle: digest,
  bytes: count,
  product: text,
  version: text,
  counter: count,
  options,
  nodes: perNode(plannedNode),
  estimateS: orNull(amount),
  madeAt: text,
});

const order = fields({
  id: text,
  bundle: digest,
  bytes: count,
  product: text,
  version: text,
  counter: count,
  updater: maybe(text),
  source: fields({ node, path: orNull(text) }),
  options,
  asked: word,
  retry: count,
  plan: orNull(fields({ digest, content: isPlan })),
  ignored: perNode(orNull(word)),
  authorized: orNull(word),
  configured: orNull(word),
  outdated: maybe(orNull(fields({ message: text, at: text }))),
  readyAt: orNull(text),
  install: orNull(
    fields({
      job: text,
      by: text,
      at: text,
      result: orNull(fields({ code: text, message: text, good: flag, at: text })),
    }),
  ),
  ended: orNull(fields({ by: text, at: text, why: either('cancelled', 'installed') })),
  writer: fields({ epoch: count, seq: count }),
});

const preparation = fields({ v: (value) => value === 1, order, nodes: perNode(column) });

/** The value when this program understands it, else null. */
export function readPreparation(value: unknown): Preparation | null {
  return preparation(value) ? (value as Preparation) : null;
}

/** Whether a later program wrote it, so that this one must leave it alone. */
export function isLaterPreparation(value: unknown): boolean {
  return object(value) && count(value['v']) && (value['v'] as number) > 1;
}
