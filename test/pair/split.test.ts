/**
 * What an operator's word can do to a pair under policy `manual`, with real daemons. A takeover
 * while the other node still serves behind pulled cables makes a split brain: nobody guesses,
 * everybody says what to do, one copy is kept by a word, and what only the other one had is saved
 * first. A takeover over an active that is really off, and whose record says that its peer cannot
 * take over, makes none: that node follows when it is switched on. PAIR_ALL=1 keeps each copy once.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { layWires, type PairWires } from '../../scripts/measure/wire.ts';
import { freePort } from '../../scripts/demo/ports.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS, runCommand } from './harness.ts';
import type { Look } from '../../scripts/pair/watch.ts';

const KEEPS: readonly NodeId[] = process.env['PAIR_ALL'] === undefined ? ['A'] : ['A', 'B'];
/** Looks at a pair that must not move by itself. */
const LOOKS = 40;
const RECORDS = 20;
const RETRY_MS = 50;

t.setTimeout(220_000);

/** The service as clients of one half of a split network reach it. */
class Half {
  readonly #base: string;
  /** What was acknowledged here. */
  readonly acknowledged = new Map<string, string>();

  constructor(port: number) {
    this.#base = `http://127.0.0.1:${String(port)}/records/`;
  }

  /** Writes until it is acknowledged. */
  async write(name: string, text: string): Promise<void> {
    while ((await this.#ask('PUT', name, text)) === null) await sleep(RETRY_MS);
    this.acknowledged.set(name, text);
  }

  async read(name: string): Promise<string | null> {
    return this.#ask('GET', name);
  }

  async #ask(method: string, name: string, body?: string): Promise<string | null> {
    const signal = AbortSignal.timeout(2000);
    const options = { method, signal, ...(body === undefined ? {} : { body }) };
    const answer = await fetch(this.#base + name, options).catch(() => null);
    const text = await answer?.text().catch(() => null);
    return answer?.ok === true ? (text ?? null) : null;
  }
}

interface Site {
  readonly bench: Bench;
  readonly wires: PairWires;
  readonly halves: Readonly<Record<NodeId, Half>>;
}

/** A pair whose nodes have the service in networks of their own, so that both can hold it. */
async function openSite(t: Test): Promise<Site> {
  let wires: PairWires | null = null;
  const ports: Record<NodeId, number> = { A: 0, B: 0 };
  const bench = await Bench.open(t, {
    prepare: async (pair) => {
      wires = await layWires(pair);
      const own = await freePort();
      Object.assign(ports, { A: Number(new URL(pair.serviceUrl).port), B: own });
      const { config } = pair.nodes.B;
      const text = await readFile(config, 'utf8');
      const address = `"service": { "address": "127.0.0.1:`;
      const changed = text.replace(`${address}${String(ports.A)}"`, `${address}${String(own)}"`);
      if (changed === text) throw new Error('the configuration names no service address');
      await writeFile(config, changed);
    },
  });
  const cables = wires as unknown as PairWires;
  t.teardown(async () => cables[Symbol.asyncDispose]());
  await bench.running.waitAvailable(READY_MS, bench.signal);
  return { bench, wires: cables, halves: { A: new Half(ports.A), B: new Half(ports.B) } };
}

const serves =
  (node: NodeId) =>
  (look: Look): boolean =>
    look.node === node && look.status.nodes[node].serving;

const alone =
  (node: NodeId) =>
  (look: Look): boolean =>
    look.node === node && !look.status.nodes[peerOf(node)].known;

/** Both nodes see the split, and nobody serves. */
const split = ({ status }: Look): boolean =>
  status.alarms.some(({ code }) => code === 'store.split_brain') &&
  NODES.every((node) => !status.nodes[node].serving);

/** The cables are pulled, both nodes serve and are written to, then the cables are back. */
async function makeSplit(t: Test, { bench, wires, halves }: Site, round: string): Promise<void> {
  const active = (await bench.running.status('A', bench.signal)).nodes.A.serving ? 'A' : 'B';
  const standby = peerOf(active);
  for (let n = 0; n < RECORDS; n += 1) await halves[active].write(`${round}-shared-${n}`, 'both');
  wires.pull();
  await Promise.all(NODES.map((node) => bench.watch.until(`${node} is alone`, alone(node))));
  const words = ['takeover', '--yes', '--reason', 'believed to be off', '--json'];
  t.match(await bench.cli(standby, ...words), { exit: 0, json: [{ changed: true }] });
  await bench.watch.until('both serve', serves(standby));
  for (const node of NODES) {
    for (let n = 0; n < RECORDS; n += 1) {
      await halves[node].write(`${round}-${node}-${n}`, `only ${node} ${n}`);
    }
    await halves[node].write(`${round}-shared-0`, `changed on ${node}`);
  }
  const both = NODES.map((node) =>
    bench.watch.until('the split', (one) => one.node === node && split(one)),
  );
  wires.plug();
  await Promise.all(both);
}

/** Nothing is resolved by guessing, and every view says what to do. */
async function expectAdvice(t: Test, { bench }: Site): Promise<void> {
  for (let n = 0; n < LOOKS; n += 1) {
    const look = await bench.watch.until('a look', () => true);
    if (!split(look)) t.fail(`the pair moved by itself: ${bench.watch.lines.at(-1)}`);
  }
  for (const node of NODES) {
    const status = await bench.cli(node, 'status');
    t.match(status.stdout, /both copies of the storage were written alone/);
    t.match(status.stdout, /storage\s+resolve/, `what to type, says node ${node}`);
    const cluster = await bench.cli(node, 'cluster', 'status', '--json');
    const items = (cluster.json[0] as { reform: { name: string; state: string }[] }).reform;
    t.match(
      items.find(({ name }) => name === 'storage'),
      { state: 'failed' },
    );
    const view = await bench.cli(node, 'storage', 'status', '--json');
    const side = { only: { records: RECORDS }, other: { records: 1 } };
    t.match(view, { exit: 24, json: [{ split: { A: side, B: side } }] }, 'what each has alone');
  }
  const [program = '', ...line] = bench.running.commandLine('A', 'explain', 'store.split_brain');
  const explain = await runCommand(program, line.slice(0, -2)).done;
  t.match(explain, { exit: 0, stdout: /storage\s+resolve/ });
  for (const act of [
    ['switchover', '--yes'],
    ['takeover', '--yes', '--reason', 'x'],
  ]) {
    const refused = await bench.cli('B', ...act, '--json');
    t.equal(refused.exit, 24, `${act[0] ?? ''}: ${refused.stdout}`);
  }
}

/** One copy is kept; what only the other one had can be read from the file that is named. */
async function resolve(t: Test, { bench, halves }: Site, keep: NodeId, round: string) {
  const loser = peerOf(keep);
  const words = ['storage', 'resolve', '--keep', keep, '--json', '--timeout', '90'];
  t.match(await bench.cli(loser, ...words), {
    exit: 2,
    json: [{ error: { code: 'confirm.needed' } }],
  });
  const done = await bench.cli(loser, ...words, '--yes', '--reason', 'newer orders');
  t.match(done, { exit: 0, json: [{ kind: 'resolve', state: 'done' }] }, done.stdout);
  const message = String(done.json[0]?.['message']);
  const file = / in (\/\S+\.ndjson)$/.exec(message)?.[1] ?? '';
  const [head = '{}', ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n');
  t.match(JSON.parse(head), { node: loser, reason: 'newer orders', records: RECORDS + 1 });
  const saved = new Map<string, string>();
  for (const line of lines) {
    const { key, value } = JSON.parse(line) as { key: string; value: string };
    saved.set(key.slice(key.lastIndexOf('/') + 1), Buffer.from(value, 'base64').toString());
  }
  const lost = [...halves[loser].acknowledged].filter(([name]) => name.startsWith(round));
  const mine = lost.filter(([name, text]) => halves[keep].acknowledged.get(name) !== text);
  const beyond = mine.filter(([name]) => !name.includes('-shared-') || name.endsWith('-shared-0'));
  const byName = Object.fromEntries(beyond);
  t.same(Object.fromEntries(saved), byName, 'everything that it alone had is there');
  const pair = await bench.running.waitAvailable(READY_MS, bench.signal);
  t.equal(pair.nodes[keep].serving, true, `node ${keep} serves`);
  for (const [name, text] of halves[keep].acknowledged) {
    const found = await halves[keep].read(name);
    if (found !== text) t.equal(found, text, `${name} was acknowledged on the kept copy`);
  }
  t.equal(
    await halves[keep].read(`${round}-${loser}-1`),
    null,
    'nothing of the other one is mixed in',
  );
  const verify = await bench.cli(keep, 'storage', 'verify', '--wait', '--json');
  t.match(verify, { exit: 0, json: [{ message: /no difference/ }] });
  const audit = await bench.cli(loser, 'history', '--audit', '--json');
  const { entries } = audit.json[0] as { entries: readonly object[] };
  const entry = { act: 'resolve', result: 'done', reason: 'newer orders' };
  t.ok(
    entries.some((one) => t.match(one, entry) || true),
    'the act is in the audit log',
  );
}

t.test('an operator and two nodes that cannot see each other', async (t) => {
  const site = await openSite(t);
  const { bench, halves } = site;
  for (const keep of KEEPS) {
    await t.test(`a split brain, of which the copy of node ${keep} is kept`, async (t) => {
      const round = `keep-${keep}`;
      await makeSplit(t, site, round);
      await expectAdvice(t, site);
      await resolve(t, site, keep, round);
      // What the other half acknowledged is gone from now on, as it was said.
      halves[peerOf(keep)].acknowledged.clear();
    });
  }

  await t.test(
    'an active that went on alone and died follows when it is switched on',
    async (t) => {
      const { nodes } = await bench.running.status('A', bench.signal);
      const active: NodeId = nodes.A.serving ? 'A' : 'B';
      const peer = peerOf(active);
      t.equal((await bench.cli(peer, 'stand-down', '--reason', 'disk check')).exit, 0);
      await bench.watch.until('it counts on the promise', ({ node, status }) => {
        return node === active && !status.ha.ok && status.nodes[peer].standDown;
      });
      const record = await bench.cli(active, 'status', '--json');
      t.equal(record.exit, 0);
      for (let n = 0; n < RECORDS; n += 1) await halves[active].write(`alone-${n}`, `text ${n}`);
      await bench.power(active, 'off');
      await bench.watch.until('it is missed', ({ node, status }) => {
        return node === peer && !status.nodes[active].known;
      });
      const words = ['takeover', '--yes', '--reason', 'it is off', '--json'];
      t.match(await bench.cli(peer, ...words), { exit: 0, json: [{ changed: true }] });
      await bench.watch.until('the peer serves', serves(peer));
      for (let n = 0; n < RECORDS; n += 1) await halves[peer].write(`after-${n}`, `text ${n}`);
      let served = 0;
      let over = false;
      const looks = bench.watch.until('the last look', (look) => {
        served += serves(active)(look) ? 1 : 0;
        return over;
      });
      await bench.power(active, 'on');
      const pair = await bench.running.waitAvailable(READY_MS, bench.signal);
      over = true;
      await looks;
      t.equal(served, 0, 'it was never seen to serve');
      t.match(pair.nodes, {
        [active]: { role: 'standby' },
        [peer]: { role: 'active', serving: true },
      });
      for (const half of [halves[active], halves[peer]]) {
        for (const [name, text] of half.acknowledged) {
          const found = await halves[peer].read(name);
          if (found !== text) t.equal(found, text, `${name} was acknowledged`);
        }
      }
    },
  );
  t.strictSame(bench.watch.faults, [], 'nothing was seen that must never be');
  await bench.close();
});
