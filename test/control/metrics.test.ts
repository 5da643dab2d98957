/**
 * The metrics, read by a strict little parser of OpenMetrics text: what it says of a pair that is
 * well, that is updated, of which one node is silent; and counters that outlive the daemon.
 */
import t from 'tap';
import {
  METRICS_TYPE,
  metricsText,
  NO_COUNTERS,
  type Counters,
} from '../../src/control/metrics.ts';
import { Tally } from '../../src/daemon/tally.ts';
import { run } from '../cli/harness.ts';
import { nodeStatus, pairStatus, rolloutStatus } from '../memory/backend.ts';
import { openBench } from './harness.ts';
import { request } from 'node:http';
import { once } from 'node:events';

interface Family {
  readonly kind: string;
  readonly samples: Map<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SUFFIX: Readonly<Record<string, string>> = {
  gauge: '',
  stateset: '',
  counter: '_total',
  info: '_info',
};

/** Labels between braces, escapes undone; throws for anything else. */
function labelsOf(text: string): Map<string, string> {
  const labels = new Map<string, string>();
  let rest = text;
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/.exec(rest);
    if (match === null || labels.has(match[1]!)) throw new Error(`labels: ${text}`);
    labels.set(
      match[1]!,
      match[2]!.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)),
    );
    rest = rest.slice(match[0].length);
    if (match[3] === ',' && rest === '') throw new Error(`labels: ${text}`);
  }
  return labels;
}

/** The families of a text; throws for whatever the format does not allow. */
function parse(text: string): Map<string, Family> {
  if (!text.endsWith('\n# EOF\n')) throw new Error('no end');
  const families = new Map<string, Family>();
  let name = '';
  let said = new Set<string>();
  for (const line of text.slice(0, -'# EOF\n'.length).trimEnd().split('\n')) {
    const meta = /^# (TYPE|UNIT|HELP) (\S+) (.+)$/.exec(line);
    if (meta !== null) {
      const [, word = '', of = '', rest = ''] = meta;
      if (word === 'TYPE') {
        if (!NAME.test(of) || families.has(of) || !(rest in SUFFIX)) throw new Error(line);
        families.set(of, { kind: rest, samples: new Map() });
        [name, said] = [of, new Set()];
      }
      const early = of === name && !said.has(word) && families.get(of)!.samples.size === 0;
      if (!early || (word === 'UNIT' && !of.endsWith(`_${rest}`))) throw new Error(line);
      said.add(word);
      continue;
    }
    const sample = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    const family = families.get(name);
    if (sample === null || family === undefined) throw new Error(line);
    const labels = [...labelsOf(sample[2] ?? '')].map(([label, word]) => `${label}=${word}`);
    const key = labels.toSorted().join(' ');
    const value = Number(sample[3]);
    const good = sample[1] === name + SUFFIX[family.kind]! && Number.isFinite(value);
    if (!good || family.samples.has(key)) throw new Error(line);
    if (family.kind === 'counter' && value < 0) throw new Error(line);
    if (family.kind === 'info' && value !== 1) throw new Error(line);
    if (family.kind === 'stateset' && value !== 0 && value !== 1) throw new Error(line);
    family.samples.set(key, value);
  }
  for (const [of, { kind, samples }] of families) {
    if (samples.size === 0) throw new Error(`${of} has no sample`);
    const sum = [...samples.values()].reduce((a, b) => a + b, 0);
    if (kind === 'stateset' && sum !== 1) throw new Error(`${of} is in ${sum} states`);
  }
  return families;
}

/** `name{labels} value` of every sample of a family. */
function of(families: Map<string, Family>, name: string): string[] {
  return [...(families.get(name)?.samples ?? [])].map(([key, value]) => `${key} ${value}`.trim());
}

t.test('the parser is strict', async (t) => {
  const good = '# TYPE a gauge\na{x="1"} 2\n# EOF\n';
  t.equal(parse(good).get('a')?.samples.get('x=1'), 2);
  for (const bad of [
    'a 1\n# EOF\n',
    '# TYPE a gauge\na 1\n',
    '# TYPE a counter\na 1\n# EOF\n',
    '# TYPE a gauge\na 1\na 2\n# EOF\n',
    '# TYPE a gauge\na{x=1} 2\n# EOF\n',
    '# TYPE a gauge\na{x="1",} 2\n# EOF\n',
    '# TYPE a gauge\na{x="1",x="2"} 2\n# EOF\n',
    '# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n',
    '# TYPE a gauge\na NaN\n# EOF\n',
    '# TYPE a gauge\n# EOF\n',
    '# TYPE a gauge\na 1\n# HELP a late\n# EOF\n',
    '# TYPE a gauge\na 1\n# TYPE b gauge\na 2\n# EOF\n',
  ]) {
    t.throws(() => parse(bad), bad);
  }
});

t.test('a pair that is well', async (t) => {
  const counted: Counters = {
    boots: { default: 7, trial: 2 },
    starts: 12,
    rollouts: { 'update DONE': 3, 'update ROLLED_BACK': 1 },
  };
  const families = parse(metricsText(pairStatus(), counted));
  t.strictSame(of(families, 'tandem_pair_available'), ['1']);
  t.ok(of(families, 'tandem_pair_state').includes('tandem_pair_state=HEALTHY 1'));
  t.strictSame(of(families, 'tandem_node_serving'), ['node=A 1', 'node=B 0']);
  t.strictSame(of(families, 'tandem_node'), [
    'node=A program=0.1.0 role=active storage=1.0.0 system=1.0.0 1',
    'node=B program=0.1.0 role=standby storage=1.0.0 system=1.0.0 1',
  ]);
  t.strictSame(of(families, 'tandem_node_facts_age_seconds'), ['node=A 0', 'node=B 0.4']);
  t.strictSame(of(families, 'tandem_boots'), ['node=A reason=default 7', 'node=A reason=trial 2']);
  t.strictSame(of(families, 'tandem_rollouts'), [
    'end=DONE kind=update node=A 3',
    'end=ROLLED_BACK kind=update node=A 1',
  ]);
  t.equal(families.has('tandem_alarms'), false);
  t.strictSame(of(families, 'tandem_rollout_running'), ['0']);
});

t.test('an update that runs, and a node that is silent', async (t) => {
  const sync = { doneBytes: 57, totalBytes: 100 };
  const store = { role: 'primary', copy: 'current', connected: true, sync };
  const status = pairStatus({
    state: 'UPDATING',
    rollout: rolloutStatus({ version: '2.0.0-"odd"\\\n' }),
    nodes: {
      A: nodeStatus('A', { store }),
      B: { ...nodeStatus('B'), known: false, ageMs: 9000 },
    },
    ha: { ok: false, text: 'node B is away' },
    alarms: [{ code: 'pair.peer_unreachable', node: 'B', message: 'x' }],
    reforming: { since: '2026-11-21T11:35:48.000Z', elapsedS: 9, estimateS: null },
    reform: [
      {
        name: 'link',
        state: 'failed',
        text: '',
        channels: [{ name: 'network', up: false, ageMs: 9000, error: null }],
      },
    ],
  });
  const families = parse(metricsText(status, NO_COUNTERS));
  t.strictSame(of(families, 'tandem_node_known'), ['node=A 1', 'node=B 0']);
  t.strictSame(of(families, 'tandem_node_serving'), ['node=A 1'], 'nothing is said of B');
  t.strictSame(of(families, 'tandem_node_facts_age_seconds'), ['node=A 0', 'node=B 9']);
  t.strictSame(of(families, 'tandem_sync_done_bytes'), ['node=A 57']);
  t.strictSame(of(families, 'tandem_alarms'), ['code=pair.peer_unreachable 1']);
  t.strictSame(of(families, 'tandem_pair_exposed_seconds'), ['9']);
  t.strictSame(of(families, 'tandem_link_up'), ['channel=network 0']);
  t.strictSame(of(families, 'tandem_rollout_elapsed_seconds'), ['72']);
  t.strictSame(of(families, 'tandem_rollout'), [
    'id=r1 kind=update phase=TRIAL1 version=2.0.0-"odd"\\\n 1',
  ]);
});

t.test('over the socket and on the command line', async (t) => {
  await using bench = await openBench();
  const sent = request({ socketPath: bench.socketPath, path: '/v1/metrics', agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  t.equal(response.headers['content-type'], METRICS_TYPE);
  response.resume();
  const { out, exit } = await run(['metrics', '--socket', bench.socketPath]);
  t.equal(exit, 0);
  t.ok(parse(out).size > 10);
});

t.test('counters outlive the daemon, and count a boot and an end once', async (t) => {
  const dir = t.testdir();
  const fail = (line: string): void => void t.fail(line);
  const start = (bootId: string, reason: 'default' | 'trial') =>
    Tally.open(dir, { bootId, reason }, fail);
  const end = { id: 'r1', kind: 'update', phase: 'DONE' } as const;
  {
    await using tally = await start('b1', 'default');
    tally.ended(end);
    tally.ended(end);
  }
  {
    await using tally = await start('b1', 'default');
    tally.ended(end);
    tally.ended({ ...end, id: 'r2', phase: 'FAILED' });
  }
  await using tally = await start('b2', 'trial');
  t.strictSame(tally.counters, {
    boots: { default: 1, trial: 1 },
    starts: 3,
    rollouts: { 'update DONE': 1, 'update FAILED': 1 },
  });
  const lines: string[] = [];
  await using lost = await Tally.open(
    '/proc/nowhere',
    { bootId: 'b', reason: 'default' },
    (line) => {
      lines.push(line);
    },
  );
  t.equal(lost.counters.starts, 1);
  t.match(lines, [/nothing is counted/]);
});
