/**
 * The parts of the pair's bench that need no emulator: scenarios and selections, seeds, results as
 * TAP and JUnit XML, results that are kept, a client with two ways to the service. Imports tap and
 * the bench.
 */
import { readdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { DemoClient } from '../../scripts/demo/client.ts';
import { jsonLines, runCommand } from '../../scripts/pair/command.ts';
import { junitOf, ResultStore, tapOf } from '../../scripts/pair/report.ts';
import { loadScenario, randomFrom, type ScenarioResult } from '../../scripts/pair/runner.ts';
import { LONG_PHASES } from '../../scripts/pair/power-cuts.ts';
import { SCENARIOS, SELECTIONS } from '../../scripts/pair/selections.ts';

const GOOD: ScenarioResult = {
  name: 'good',
  title: 'one bundle #1 <updates> both',
  seed: 's',
  ok: true,
  failure: null,
  evidence: null,
  readyS: 1.25,
  seconds: 30.04,
  processorS: 44,
  boots: { A: 1, B: 2 },
  client: null,
  lines: ['a & b', 'bell \u0007 rings'],
};
const BAD: ScenarioResult = {
  ...GOOD,
  name: 'bad',
  ok: false,
  failure: 'found "x" < y',
  evidence: '/kept/here',
};

t.test('selections name scenarios, and a file without one is refused', async (t) => {
  const names = [...SCENARIOS.keys()];
  for (const [name, { title }] of SCENARIOS) t.ok(title.length > 20, name);
  const folder = join(import.meta.dirname, '../../scripts/pair/scenarios');
  const files = (await readdir(folder)).map((file) => file.replace(/\.ts$/, ''));
  const phases = LONG_PHASES.map((phase) => `link-lost-${phase.toLowerCase()}`);
  t.strictSame(names.toSorted(), [...files, ...phases].toSorted(), 'each file is played');
  const { ci, test, all } = Object.fromEntries(SELECTIONS);
  t.strictSame(test?.slice(0, ci?.length), ci);
  t.strictSame(all?.slice(0, test?.length), test);
  t.strictSame(all, names);
  const { name, scenario } = await loadScenario(join(folder, 'good.ts'));
  t.strictSame([name, scenario], ['good', SCENARIOS.get('good')]);
  const none = join(import.meta.dirname, 'stand-in.ts');
  await t.rejects(loadScenario(none), { code: 'file.unreadable', message: /no scenario/ });
  await t.rejects(loadScenario('/nowhere.ts'), { code: 'file.unreadable' });
});

function draw(words: string): number[] {
  const random = randomFrom(words);
  return [random(), random(), random()];
}

t.test('a seed draws the same numbers, and others for another scenario', async (t) => {
  t.strictSame(draw('1/good'), draw('1/good'));
  t.notSame(draw('1/good'), draw('2/good'));
  t.notSame(draw('1/good'), draw('1/bad'));
  t.ok(draw('x').every((number) => number >= 0 && number < 1));
});

t.test('results as TAP and as JUnit XML', async (t) => {
  t.match(tapOf(GOOD, 3, 11), /^ok 3 - good - one bundle \\#1 <updates> both\n {2}---\n/);
  t.match(tapOf(GOOD, 3, 11), /30 s \(44 s of processor, 4\.0 x control\).*boots: A 1, B 2/);
  t.match(tapOf(BAD, 4, null), /^not ok 4 - .*\n(.*\n)*.*message: "found \\"x\\" < y"\n/);
  t.match(tapOf(BAD, 4, null), /evidence: "\/kept\/here"/);
  const xml = junitOf([GOOD, BAD]);
  t.match(xml, /<testsuites tests="2" failures="1" errors="0" time="60\.1">/);
  t.match(xml, /name="good: one bundle #1 &lt;updates&gt; both" classname="pair" time="30\.0"/);
  t.match(xml, /<failure message="found &quot;x&quot; &lt; y">.*\nkept in \/kept\/here<\/failure>/);
  t.match(xml, /<system-out>a &amp; b\nbell {2}rings<\/system-out>/);
});

t.test('good results are kept for the same content and seed', async (t) => {
  const dir = t.testdir();
  const store = await ResultStore.open('d1', 's', dir);
  await store.keep(GOOD);
  await store.keep(BAD);
  const again = await ResultStore.open('d1', 's', dir);
  t.strictSame(again.done('good'), GOOD);
  t.equal(again.done('bad'), null, 'what failed is played again');
  t.equal(await ResultStore.lastSeed('d1', dir), 's');
  t.equal(await ResultStore.lastSeed('d2', dir), null);
  t.equal((await ResultStore.open('d1', 'other', dir)).done('good'), null);
  t.equal((await ResultStore.open('d2', 's', dir)).done('good'), null);
});

t.test('a command line that runs', async (t) => {
  const script = 'console.log(JSON.stringify({ a: 1 })); console.error("why"); process.exit(7)';
  const ended = await runCommand(process.execPath, ['-e', script]).done;
  t.match(ended, { exit: 7, stderr: 'why\n', json: [{ a: 1 }] });
  t.strictSame(jsonLines('no\n{"b":2}\n{broken\n'), [{ b: 2 }]);
});

/** A service that answers, says that it cannot now, or says nothing. */
async function service(answers: () => 'well' | 'busy' | 'never'): Promise<[Server, string]> {
  const kept = new Map<string, string>();
  const server = createServer((request, response) => {
    const how = answers();
    if (how === 'never') return;
    const name = request.url ?? '';
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      if (request.method === 'PUT' && how === 'well') kept.set(name, body);
      response.statusCode = how === 'well' ? 200 : 503;
      response.end(request.method === 'PUT' ? '' : kept.get(name));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`];
}

t.test('a client with two ways uses the one that answers', async (t) => {
  const state = { first: 'never', second: 'well' } as Record<string, 'well' | 'busy' | 'never'>;
  const [one, first] = await service(() => state['first'] ?? 'never');
  const [two, second] = await service(() => state['second'] ?? 'never');
  t.teardown(() => {
    for (const server of [one, two]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const client = new DemoClient([first, second], 'two');
  client.start();
  const until = async (count: number): Promise<void> => {
    while (client.successes < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until(4);
  state['second'] = 'busy';
  const before = client.successes;
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.ok(client.successes <= before + 1, 'a refusal is no success');
  state['second'] = 'well';
  await until(before + 4);
  const { lost, misreads, writes } = await client.finish(AbortSignal.timeout(20_000));
  t.strictSame([lost, misreads], [[], 0]);
  t.ok(writes > 0);
});

t.test('a way that hangs does not hold the other one up', async (t) => {
  let refusals = 2;
  const [one, first] = await service(() => 'never');
  const [two, second] = await service(() => (refusals-- > 0 ? 'busy' : 'well'));
  t.teardown(() => {
    for (const server of [one, two]) {
      server.closeAllConnections();
      server.close();
    }
  });
  // Longer than any test may take: only the same request can be the one that is answered.
  const client = new DemoClient([first, second], 'three', { pauseMs: 5, requestMs: 3_600_000 });
  client.start();
  while (client.successes < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  const { lost, retries } = await client.finish(AbortSignal.timeout(20_000));
  t.strictSame([lost, retries, refusals < 0], [[], 0, true]);
});
