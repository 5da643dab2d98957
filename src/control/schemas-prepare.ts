/**
 * Schemas of prepared updates: the words that are said of one, and the answers. Always holds: each
 * answer is tied to its type of core. Imports core and its own folder.
 */
import type { PreparedBrief, PreparedNode } from '../core/prepare-brief.ts';
import type { PlannedImage, PlannedNode, PreparedPlan } from '../core/prepare-plan.ts';
import type { PrepareOptions } from '../core/prepare-plan.ts';
import type { PrepareAnswer, PrepareView, PrepareWordKind } from '../core/prepare-view.ts';
import { PREPARE_STAGES, type Preparation, type PrepareColumn } from '../core/prepare.ts';
import type { PrepareOrder, PrepareStage, PrepareWord, StageStatus } from '../core/prepare.ts';
import { SLOT_CLASSES } from '../core/model.ts';
import { constant, list, maybe, number, object, orNull, ref, text } from './shape.ts';
import { time, whole, words, wordsOf, yesNo, type Schema } from './shape.ts';
import { code, node, perNode } from './schemas-pair.ts';

const reason = {
  type: 'string',
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f]+$',
} as const;
const id = { type: 'string', pattern: '^[\\w.-]{1,128}$' } as const;
const order = { type: 'string', enum: ['active-first', 'standby-first'] } as const;
const onSecondFailure = { type: 'string', enum: ['hold', 'rollback'] } as const;
const common = { type: 'object', additionalProperties: false } as const;
const word = (kind: PrepareWordKind): Schema => {
  const properties = { do: { const: kind }, id, reason };
  return { ...common, required: ['do'], properties };
};
const nodeWord = (kind: PrepareWordKind, required: readonly string[]): Schema => {
  const properties = {
    do: { const: kind },
    id,
    reason,
    node: { type: 'string', enum: ['A', 'B'] },
  };
  return { ...common, required: ['do', ...required], properties };
};

/** JSON Schema of `POST /v1/prepare`, by the value of `do`. */
export const PREPARE_WORD_SCHEMAS: Readonly<Record<PrepareWordKind, Schema>> = {
  ignore: nodeWord('ignore', ['node', 'reason']),
  heed: nodeWord('heed', ['node']),
  authorize: word('authorize'),
  configure: {
    ...common,
    required: ['do'],
    properties: { do: { const: 'configure' }, id, reason, order, onSecondFailure },
  },
  retry: word('retry'),
  cancel: word('cancel'),
};

const digest: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256.' };
const wordSchema = object<PrepareWord>('Who said it, why and when.', {
  by: text(),
  reason: orNull(text()),
  at: time(),
});
const options = object<PrepareOptions>('Options of the install.', {
  order: words(order.enum),
  onSecondFailure: words(onSecondFailure.enum),
});
const release = orNull(
  object<NonNullable<PlannedNode['from']['system']>>('What a node runs.', {
    version: text(),
    counter: whole(),
  }),
);

const stage = object<StageStatus>('One stage of one node.', {
  state: wordsOf<StageStatus['state']>({ waiting: true, running: true, failed: true, done: true }),
  tries: whole('Times it was begun since it last stood at its beginning.'),
  code: orNull(code),
  message: text(),
  at: orNull(time()),
  failing: maybe(
    object<NonNullable<StageStatus['failing']>>('Its newest failure, while it is tried again.', {
      code,
      message: text(),
      since: time('When it failed first.'),
    }),
  ),
});

const preparedNode = object<PreparedNode>('Where one node stands.', {
  stage: orNull(words(PREPARE_STAGES)),
  state: wordsOf<StageStatus['state']>({ waiting: true, running: true, failed: true, done: true }),
  ignored: yesNo(),
  text: text(),
});

/** Part of `NAMED`; read it there. */
export const PREPARE_SCHEMAS: Readonly<Record<string, Schema>> = {
  PreparedBrief: object<PreparedBrief>('A prepared update in short.', {
    id: text(),
    version: text(),
    state: wordsOf<PreparedBrief['state']>({
      preparing: true,
      stuck: true,
      outdated: true,
      prepared: true,
      installing: true,
    }),
    text: text('How far it is, or what an install waits for.'),
    nodes: perNode(preparedNode),
  }),
  PreparedPlan: object<PreparedPlan>('What an install will do, frozen on the disk of both nodes.', {
    v: constant(1),
    id: text(),
    bundle: digest,
    bytes: whole(),
    product: text(),
    version: text(),
    counter: whole(),
    options,
    nodes: perNode(
      object<PlannedNode>('What it does on one node.', {
        from: object<PlannedNode['from']>('By class.', { system: release, storage: release }),
        skip: yesNo('Nothing lags there.'),
        images: list(
          object<PlannedImage>('An image that is written.', {
            name: text(),
            class: words(SLOT_CLASSES),
            version: text(),
            counter: whole(),
            rawBytes: whole(),
            rawSha256: digest,
            imageId: digest,
          }),
        ),
      }),
    ),
    estimateS: orNull(number('Seconds that it is expected to take.')),
    madeAt: time(),
  }),
  PrepareOrder: object<PrepareOrder>('What is prepared, and what was said of it.', {
    id: text('Id of its job; `tandem update ID` installs it.'),
    bundle: digest,
    bytes: whole(),
    product: text(),
    version: text(),
    counter: whole(),
    updater: orNull(text('Version of the updater that the bundle brings.')),
    source: object<PrepareOrder['source']>('Node that was given the bundle, and where.', {
      node,
      path: orNull(text()),
    }),
    options,
    asked: wordSchema,
    retry: whole(),
    plan: orNull(
      object<NonNullable<PrepareOrder['plan']>>('The frozen plan and its identity.', {
        digest,
        content: ref('PreparedPlan'),
      }),
    ),
    ignored: perNode(orNull(wordSchema)),
    authorized: orNull(wordSchema),
    configured: orNull(wordSchema),
    outdated: maybe(
      orNull(
        object<NonNullable<PrepareOrder['outdated']>>('Why it does not fit the pair any more.', {
          message: text(),
          at: time(),
        }),
      ),
    ),
    readyAt: orNull(time('When all was prepared for the first time.')),
    install: orNull(
      object<NonNullable<PrepareOrder['install']>>('The newest install with it.', {
        job: text(),
        by: text(),
        at: time(),
        result: orNull(
          object<NonNullable<NonNullable<PrepareOrder['install']>['result']>>('How it ended.', {
            good: yesNo(),
            code,
            message: text(),
            at: time(),
          }),
        ),
      }),
    ),
    ended: orNull(
      object<NonNullable<PrepareOrder['ended']>>('Why it is over.', {
        by: text(),
        reason: orNull(text()),
        at: time(),
        why: wordsOf<NonNullable<PrepareOrder['ended']>['why']>({
          cancelled: true,
          installed: true,
        }),
      }),
    ),
    writer: object<PrepareOrder['writer']>('Orders copies of it.', {
      epoch: whole(),
      seq: whole(),
    }),
  }),
  Preparation: object<Preparation>('A prepared update of the pair.', {
    v: constant(1),
    order: ref('PrepareOrder'),
    nodes: perNode(
      object<PrepareColumn>('What one node has done.', {
        seq: whole(),
        retry: whole(),
        plan: orNull(digest),
        stages: object<PrepareColumn['stages']>(
          'By stage, in their order.',
          Object.fromEntries(PREPARE_STAGES.map((name) => [name, stage])) as Record<
            PrepareStage,
            Schema
          >,
        ),
      }),
    ),
  }),
  PrepareView: object<PrepareView>('What the node knows of the prepared update.', {
    node,
    preparation: orNull(ref('Preparation')),
    refusal: orNull(ref('ErrorReport')),
    retryInS: orNull(whole('Seconds until the failed stage of this node is tried again.')),
  }),
  PrepareAnswer: object<PrepareAnswer>('What a word about the prepared update did.', {
    do: wordsOf<PrepareWordKind>({
      ignore: true,
      heed: true,
      authorize: true,
      configure: true,
      retry: true,
      cancel: true,
    }),
    id: text(),
    changed: yesNo('False when it was so already.'),
    message: text(),
    preparation: ref('Preparation'),
  }),
};
