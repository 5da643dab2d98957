/**
 * The picture of a rollout: the very bytes for three stories (UPDATE_PICTURES=1 writes them anew),
 * and for texts of any kind XML that is well formed, bounded, without a script and without anything
 * from outside. May import tap, fast-check, node: and core.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, constantFrom, nat, oneof, property, string } from 'fast-check';
import t from 'tap';
import { phaseSpans, serviceSpans } from '../../src/daemon/picture-spans.ts';
import { rolloutSvg, xmlText } from '../../src/daemon/picture.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Phase, RolloutRecord, StepLog } from '../../src/core/records.ts';
import type { TandemEvent } from '../../src/core/status.ts';
import { rolloutRecord } from '../core/states.ts';

const START_MS = Date.UTC(2026, 0, 1);
const at = (s: number): string => new Date(START_MS + s * 1000).toISOString();
const FROM = { from: { system: null, storage: null }, skip: false, attempts: 1 };

type Step = readonly [s: number, node: NodeId, phase: Phase, text: string];

/** A rollout with these steps in its logs, in the phase of the last one. */
function rolloutOf(steps: readonly Step[], change: Partial<RolloutRecord> = {}): RolloutRecord {
  const logOf = (node: NodeId): readonly StepLog[] => [
    { at: at(0), phase: 'PRECHECK', text: 'checked' },
    ...steps
      .filter(([, one]) => one === node)
      .map(([s, , phase, text]) => ({ at: at(s), phase, text })),
  ];
  const nodes = { A: { ...FROM, log: logOf('A') }, B: { ...FROM, log: logOf('B') } };
  const [s, , phase] = steps.at(-1)!;
  return rolloutRecord({ nodes, phase, phaseAt: at(s), startedAt: at(0), ...change });
}

const service = (s: number, node: NodeId, serves: boolean): TandemEvent => ({
  v: 1,
  seq: s + 100,
  ts: at(s),
  job: null,
  node,
  phase: null,
  state: 'service',
  pct: null,
  eta_s: null,
  msg: serves ? `node ${node} serves (epoch 2)` : `node ${node} serves no more`,
  code: null,
});

const GOOD: readonly Step[] = [
  [4, 'A', 'INSTALL1', 'begins with node A; node B is not touched until A is committed'],
  [40, 'A', 'DRAIN1', 'node A has the images in its other slots'],
  [41.2, 'A', 'DOWN1', 'node B serves'],
  [42, 'A', 'ACT1', 'node A stands down and restarts'],
  [75, 'A', 'TRIAL1', 'node A came up in its new slot'],
  [95, 'A', 'SYNC1', 'node A is healthy'],
  [99, 'A', 'COMMIT1', 'the storage of node A is in sync'],
  [99.3, 'A', 'ADMIT1', 'node A is committed'],
  [100, 'A', 'HAND1', 'node A may take over'],
  [130, 'B', 'INSTALL2', 'goes on with node B'],
  [166, 'B', 'DOWN2', 'node B has the images in its other slots'],
  [167, 'B', 'ACT2', 'node B stands down and restarts'],
  [200, 'B', 'TRIAL2', 'node B came up in its new slot'],
  [220, 'B', 'SYNC2', 'node B is healthy'],
  [224, 'B', 'COMMIT2', 'the storage of node B is in sync'],
  [224.2, 'B', 'ADMIT2', 'node B is committed'],
  [225, 'B', 'REFORM', 'node B may take over'],
  [226, 'A', 'DONE', 'the pair has reformed and is highly available'],
];
const SERVICE = [
  service(-50, 'A', true),
  service(40.1, 'A', false),
  service(40.9, 'B', true),
  service(100.2, 'B', false),
  service(101, 'A', true),
];
const BAD: readonly Step[] = [
  ...GOOD.slice(0, 5),
  [96, 'A', 'BACK1', 'health.check: <the "disk" & the fan>\u0007 are not well'],
  [140, 'A', 'FAILED', 'node A runs its old version'],
];
const STORIES = {
  done: rolloutSvg(rolloutOf(GOOD), SERVICE, START_MS + 900_000),
  failed: rolloutSvg(
    rolloutOf(BAD, {
      result: { code: 'active.failed', message: 'the trial failed: <disk> & "fan"' },
    }),
    SERVICE.slice(0, 3),
    START_MS + 900_000,
  ),
  running: rolloutSvg(rolloutOf(GOOD.slice(0, 6)), [], START_MS + 97_000),
};

/** What is wrong with a document, read as XML 1.0 strictly; null when it is well formed. */
function fault(xml: string): string | null {
  // eslint-disable-next-line no-control-regex -- characters that XML does not allow
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml)) return 'a character';
  if (!xml.isWellFormed()) return 'half of a surrogate pair';
  const open: string[] = [];
  const token = /<(\/?)([a-zA-Z]+)((?: [a-zA-Z0-9:]+="[^"<]*")*)(\/?)>|([^<]+)|</gy;
  for (let found = token.exec(xml); found; found = token.exec(xml)) {
    const [whole, end, name = '', attributes = '', empty, content] = found;
    if (whole === '<') return `no tag at ${token.lastIndex}`;
    const text = content ?? attributes;
    if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(text)) return `an ampersand in ${text}`;
    if (content !== undefined) continue;
    if (end === '/') {
      if (open.pop() !== name) return `an end of ${name}`;
    } else if (empty !== '/') open.push(name);
    if (open.length === 0 && token.lastIndex < xml.trimEnd().length) return 'more than one root';
  }
  return open.length === 0 ? null : `${open.join(' ')} without an end`;
}

/** Elements and attributes that a picture may have: none of them fetches or runs anything. */
const ALLOWED = /^(svg|title|style|rect|line|text)$/;

t.test('three stories, to the byte', (t) => {
  for (const [name, svg] of Object.entries(STORIES)) {
    const file = join(import.meta.dirname, 'pictures', `${name}.svg`);
    if (process.env['UPDATE_PICTURES'] !== undefined) writeFileSync(file, svg);
    t.equal(svg, readFileSync(file, 'utf8'), name);
    t.equal(fault(svg), null, name);
  }
  t.end();
});

t.test('phases and gaps are those of the record', (t) => {
  const spans = phaseSpans(rolloutOf(GOOD), 0);
  t.equal(spans.length, GOOD.length, 'the staging, and every phase but the end');
  t.match(spans[0], { phase: 'STAGE', node: null, kind: 'pair', fromMs: 0, toMs: 4000 });
  t.match(spans[4], { phase: 'ACT1', node: 'A', kind: 'down', fromMs: 42_000, toMs: 75_000 });
  t.match(spans.at(-1), { phase: 'REFORM', node: null, toMs: 226_000 });
  spans.forEach(({ fromMs }, index) => t.equal(fromMs, spans[index - 1]?.toMs ?? 0));
  const served = serviceSpans(rolloutOf(GOOD), SERVICE, 226_000);
  t.strictSame(
    served.map(({ node, fromMs, toMs }) => [node, toMs - fromMs]),
    [
      ['A', 40_100],
      [null, 800],
      ['B', 59_300],
      [null, 800],
      ['A', 125_000],
    ],
  );
  t.strictSame(serviceSpans(rolloutOf(GOOD), SERVICE.slice(1), 226_000), [], 'begins too late');
  // A clock that went back, and an entry without a time, cost their own span.
  const odd = rolloutOf([
    [5, 'A', 'INSTALL1', ''],
    [-20, 'A', 'DRAIN1', ''],
    [9, 'A', 'DOWN1', ''],
  ]);
  const broken = { ...odd.nodes.B, log: [{ at: 'never', phase: 'ACT1', text: '' } as const] };
  const found = phaseSpans({ ...odd, nodes: { ...odd.nodes, B: broken } }, START_MS + 10_000);
  t.ok(found.every(({ fromMs, toMs }) => fromMs >= 0 && toMs >= fromMs));
  t.end();
});

t.test('times of the axis are few, short and in the picture, however long it took', (t) => {
  for (const tookS of [1, 9, 59, 140, 3599, 7000, 90_000, 500_000, 3_456_789, 90_000_000]) {
    const steps: readonly Step[] = [GOOD[0]!, [tookS, 'A', 'DONE', '']];
    const svg = rolloutSvg(rolloutOf(steps), [], START_MS);
    const times = [...svg.matchAll(/<text x="([\d.]+)" y="\d+" class="m ([ce])">([^<]*)</g)];
    t.ok(times.length >= 2 && times.length <= 11, `${tookS} s: ${times.length} times`);
    t.equal(times[0]?.[3], '0');
    for (const [, x, kind, text = ''] of times) {
      t.ok(text.length <= 8, text);
      t.ok(Number(x) + (kind === 'c' ? 26 : 0) <= 960, `${text} at ${x}`);
    }
  }
  t.end();
});

t.test('texts of any kind stay texts', (t) => {
  t.equal(xmlText('a<b>&"\'\u0000\ud800\n c'), 'a&lt;b&gt;&amp;&quot;&#39; c');
  const hostile = oneof(
    string({ unit: 'binary' }),
    string(),
    constantFrom(
      '</title><script>alert(1)</script>',
      '"/><image href="http://x/"/>',
      '<!DOCTYPE x [<!ENTITY a "b">]>&a;',
      ']]>',
      '\u202e\ufffe\uffff\u0000',
    ),
  );
  assert(
    property(hostile, hostile, hostile, nat({ max: 200 }), (id, text, version, count) => {
      const steps = Array.from({ length: count % 60 }, (_, index): Step => {
        const [s, node, phase] = GOOD[index % GOOD.length]!;
        return [s + index, node, phase, text];
      });
      const record = rolloutOf([...GOOD, ...steps], {
        id,
        to: { ...rolloutRecord().to, version },
        result: { code: 'active.failed', message: text },
      });
      const svg = rolloutSvg(record, SERVICE, START_MS);
      const names = [...svg.matchAll(/<\/?([a-zA-Z!]+)/g)].map(([, name]) => name!);
      const names2 = [...svg.matchAll(/<[^>]*?\s(on\w+|href|src|xlink:href)=/g)];
      if (fault(svg) !== null) throw new Error(fault(svg)!);
      if (!names.every((name) => ALLOWED.test(name)) || names2.length > 0) throw new Error('more');
      return svg.length < 200_000;
    }),
    { numRuns: 150 },
  );
  t.end();
});

t.test('the checker of this test finds what is wrong', (t) => {
  for (const xml of [
    '<svg><g></svg>',
    '<svg>&x;</svg>',
    '<svg a=b/>',
    '<svg/><g/>',
    '<svg>\u0001</svg>',
  ]) {
    t.not(fault(xml), null, xml);
  }
  t.end();
});
