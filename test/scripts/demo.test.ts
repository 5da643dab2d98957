/**
 * Parts of the demo that judge: the client must notice a lost write and a gap, the report must call
 * a wrong end a fault, and every scenario has an exit status of its own class.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { DemoClient, type ClientResult } from '../../scripts/demo/client.ts';
import { freePorts } from '../../scripts/demo/ports.ts';
import { phaseTimes, reportOf, type Findings } from '../../scripts/demo/report.ts';
import { FIRST, SCENARIOS, scenarioOf } from '../../scripts/demo/scenarios.ts';

const never = new AbortController().signal;

interface Service {
  readonly url: string;
  readonly server: Server;
  readonly records: Map<string, string>;
  /** While true, every request is refused. */
  down: boolean;
  refused: number;
}

async function service(t: Test): Promise<Service> {
  const records = new Map<string, string>();
  const server = createServer((request, response) => {
    const name = request.url ?? '';
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      if (self.down) {
        self.refused += 1;
        response.writeHead(503).end();
      } else if (request.method === 'PUT') {
        records.set(name, text);
        response.writeHead(201).end();
      } else {
        const found = records.get(name);
        response.writeHead(found === undefined ? 404 : 200).end(found);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const self: Service = { url, server, records, down: false, refused: 0 };
  return self;
}

async function untilSuccesses(client: DemoClient, count: number): Promise<void> {
  while (client.successes < count) await sleep(5);
}

t.test('the client counts what was acknowledged and finds nothing lost', async (t) => {
  const one = await service(t);
  const client = new DemoClient(one.url);
  client.start();
  await untilSuccesses(client, 10);
  const result = await client.finish(never);
  t.equal(result.checked, result.writes);
  t.equal(result.writes, one.records.size);
  t.strictSame(result.lost, []);
  t.equal(result.retries, 0);
});

t.test(
  'a write that is refused is sent again under the same name, and the gap is seen',
  async (t) => {
    const one = await service(t);
    const client = new DemoClient(one.url);
    client.start();
    await untilSuccesses(client, 6);
    one.down = true;
    while (one.refused < 5) await sleep(5);
    one.down = false;
    await untilSuccesses(client, 12);
    const result = await client.finish(never);
    t.ok(result.retries >= 4, 'refusals were met with the same write again');
    t.equal(result.writes, one.records.size);
    t.strictSame(result.lost, []);
    t.ok(result.longestGapAtMs !== null && result.longestGapMs > 0);
  },
);

t.test('an acknowledged write that is gone or changed is reported by name', async (t) => {
  const one = await service(t);
  const client = new DemoClient(one.url);
  client.start();
  await untilSuccesses(client, 8);
  one.records.delete('/records/demo-000002');
  one.records.set('/records/demo-000003', 'something else');
  const result = await client.finish(never);
  t.strictSame(result.lost, ['demo-000002', 'demo-000003']);
});

t.test('a read that misses what was just acknowledged is counted', async (t) => {
  const one = await service(t);
  one.records.set = function (): Map<string, string> {
    return this;
  };
  const client = new DemoClient(one.url, 'other');
  client.start();
  while (client.successes < 4) await sleep(5);
  const result = await client.finish(never);
  t.equal(result.misreads, result.writes);
  t.equal(result.lost[0], 'other-000001');
});

t.test('ports that are handed out differ', async (t) => {
  const ports = await freePorts(6);
  t.equal(new Set(ports).size, 6);
});

t.test('every failure has a row with its exit status', async (t) => {
  const exits = Object.fromEntries(SCENARIOS.map((row) => [row.name, row.exit]));
  t.strictSame(exits, {
    none: 0,
    damaged: 10,
    'same-version': 11,
    'no-path': 12,
    untrusted: 13,
    active: 30,
    storage: 31,
    'active-storage-kept': 30,
    standby: 32,
  });
  t.equal(scenarioOf('nonsense'), undefined);
  for (const row of SCENARIOS.filter((one) => one.refused)) {
    t.match(row.ends, { A: { system: FIRST.version }, B: { system: FIRST.version } }, row.name);
  }
});

const status = (a: string, b: string, storage = '1.0.0'): PairStatus => {
  const node = (version: string) => ({ system: { version }, storage: { version: storage } });
  return { nodes: { A: node(a), B: node(b) } } as unknown as PairStatus;
};

const client: ClientResult = {
  writes: 5,
  reads: 5,
  retries: 0,
  longestGapMs: 30,
  longestGapAtMs: 1,
  checked: 5,
  lost: [],
  misreads: 0,
};

const refused: Findings = {
  scenario: scenarioOf('damaged')!,
  exit: 10,
  before: status('1.0.0', '1.0.0'),
  after: status('1.0.0', '1.0.0'),
  rollout: null,
  boots: { A: 1, B: 1 },
  strangers: [],
  ready: true,
  updateS: 1,
  client,
  kept: null,
};

t.test('a run that ends as it must has no faults', async (t) => {
  t.match(reportOf(refused), { ok: true, faults: [], exit: 10, expectedExit: 10 });
});

t.test('each wrong end is a fault of its own', async (t) => {
  const cases: [Partial<Findings>, RegExp][] = [
    [{ exit: 11 }, /ended with 11, expected 10/],
    [{ after: status('1.0.0', '2.0.0') }, /node B runs system 2\.0\.0, expected 1\.0\.0/],
    [{ after: status('1.0.0', '1.0.0', '9.0.0') }, /node A runs storage 9\.0\.0/],
    [{ boots: { A: 1, B: 2 } }, /node B rebooted/],
    [{ strangers: ['B'] }, /node B does not run the program of its booted slot/],
    [{ ready: false }, /not highly available/],
    [{ client: { ...client, lost: ['x'] } }, /1 writes were lost/],
    [{ client: { ...client, misreads: 2 } }, /2 reads missed an acknowledged write/],
    [{ client: { ...client, writes: 0 } }, /could not write/],
  ];
  for (const [change, words] of cases) {
    const report = reportOf({ ...refused, ...change });
    t.equal(report.ok, false);
    t.match(report.faults.join('; '), words);
  }
});

const at = (s: number): string => new Date(1_800_000_000_000 + s * 1000).toISOString();

t.test('phases come in their order with their times, from the logs of both nodes', async (t) => {
  const log = (...steps: [number, string][]) => ({
    log: steps.map(([s, phase]) => ({ at: at(s), phase, text: '' })),
  });
  const rollout = {
    startedAt: at(0),
    first: 'A',
    nodes: {
      A: log([0, 'PRECHECK'], [2, 'INSTALL1'], [9, 'INSTALL1'], [14, 'ACT2'], [20, 'ACT2']),
      B: log(
        [0, 'PRECHECK'],
        [5, 'ACT1'],
        [12, 'ACT2'],
        [18, 'BACK2'],
        [24, 'BACK2'],
        [30, 'HOLD_MIXED'],
      ),
    },
  } as unknown as RolloutRecord;
  t.match(phaseTimes(rollout), [
    { phase: 'STAGE', atS: 0, tookS: 2 },
    { phase: 'INSTALL1', words: 'node A is installed', atS: 2, tookS: 3 },
    { phase: 'ACT1', atS: 5, tookS: 7 },
    { phase: 'ACT2', words: /node B/, atS: 12, tookS: 6 },
    { phase: 'BACK2', atS: 18, tookS: 2 },
    { phase: 'ACT2', atS: 20, tookS: 4 },
    { phase: 'BACK2', atS: 24, tookS: 6 },
    { phase: 'HOLD_MIXED', atS: 30, tookS: null },
  ]);
  t.equal(phaseTimes(rollout).length, 8);
});
