/**
 * `npm run demo`: a pair of appliances on this machine, updated by one bundle while a client keeps
 * using it; `--fail WORD` shows each failure, `--keep` leaves the pair running, `--stop DIR` ends a
 * kept one, `--on` switches a node of it on, `--console` opens the maintenance console on it
 * instead. Always holds: the exit status is that of the update that was shown, or 1 when the run
 * did not end as it had to; nothing is left behind that was not asked for, after Ctrl-C too.
 * Imports core and scripts/demo.
 */
import { access, rm } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { EXIT } from '../src/core/codes.ts';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { NODES } from '../src/core/model.ts';
import { applianceAt } from './appliance.ts';
import { BUILD_DIR, PROJECT_DIR } from './build.ts';
import { tellReport, type DemoReport } from './demo/report.ts';
import { DIR_PREFIX, runConsole, runDemo } from './demo/run.ts';
import { makeVoice, type Voice } from './demo/say.ts';
import { SCENARIOS, scenarioOf, type Scenario } from './demo/scenarios.ts';
import { askPower } from './supervisor/power-client.ts';

const INTERRUPTED = 130;

function usage(): string {
  const rows = SCENARIOS.filter((row) => row.name !== 'none').map((row) => {
    return `    ${row.name.padEnd(20)} exit ${String(row.exit).padEnd(3)} ${row.title}`;
  });
  return [
    'Usage: npm run demo -- [--fail WORD] [--keep] [--json]',
    '       npm run demo -- --console [--fail WORD]',
    '       npm run demo -- --stop DIR',
    '       npm run demo -- --on DIR/A',
    '',
    'Updates a pair of appliances on this machine, all on loopback, while a client uses it.',
    '',
    '  --fail WORD  show a failure instead; the exit status is that of the update:',
    ...rows,
    '  --console    open the maintenance console; the bundle is there, the update is yours',
    '  --keep       leave the pair running, with the commands to talk to it',
    '  --stop DIR   end a pair that was kept, and remove its folder',
    '  --on DIR/A   switch on a node of a kept pair that was shut down',
    '  --json       one JSON object on standard output, everything else on standard error',
    '',
  ].join('\n');
}

/** Ends a kept pair: asks its supervisors, waits until they are gone, removes the folder. */
async function stopKept(path: string): Promise<number> {
  const dir = resolve(path);
  if (!basename(dir).startsWith(DIR_PREFIX)) {
    throw new UpdateError('usage.invalid', `${dir} is not the folder of a pair that was kept`);
  }
  for (const node of NODES) {
    const { powerSocket } = applianceAt(join(dir, node), node);
    try {
      await access(powerSocket);
    } catch {
      continue;
    }
    const reply = await askPower(powerSocket, 'quit').catch(asUpdateError);
    if (reply instanceof UpdateError) continue;
    if (!reply.ok) throw new UpdateError('tool.failed', `node ${node}: ${reply.error}`);
    for (let tries = 0; tries < 100 && (await answers(powerSocket)); tries += 1) await sleep(50);
  }
  await rm(dir, { recursive: true, force: true });
  console.log(`The pair in ${dir} is switched off and its folder is removed.`);
  return EXIT.done;
}

/** Switches on a node of a kept pair; its folder is the one of the pair and its letter. */
async function switchOn(path: string): Promise<number> {
  const dir = resolve(path);
  const node = NODES.find((one) => one === basename(dir));
  if (node === undefined) {
    throw new UpdateError('usage.invalid', `${dir} is not the folder of a node, DIR/A or DIR/B`);
  }
  const reply = await askPower(applianceAt(dir, node).powerSocket, 'on');
  if (!reply.ok) throw new UpdateError('tool.failed', `node ${node}: ${reply.error}`);
  console.log(`Node ${node} is on.`);
  return EXIT.done;
}

async function answers(socket: string): Promise<boolean> {
  return askPower(socket, 'status', 1000).then(
    () => true,
    () => false,
  );
}

function tellKept(dir: string, voice: Voice): void {
  const program = relative(process.cwd(), join(BUILD_DIR, 'tandem.mjs'));
  voice.line();
  voice.title('The pair goes on running. Talk to it:');
  voice.line(`  export TANDEM_SOCKET=${join(dir, 'A/run/control.sock')}`);
  voice.line('  (that of node B lies in the same place below B)');
  voice.line(`  ${process.execPath} ${program} status`);
  voice.line(`  ${process.execPath} ${program} history`);
  voice.line(`  tail -f ${join(dir, 'A/console.log')} ${join(dir, 'B/boot.log')}`);
  voice.line(`Switch on a node that was shut down: npm run demo -- --on ${join(dir, 'A')}`);
  voice.line(`End it: npm run demo -- --stop ${dir}`);
}

function tellNext(scenario: Scenario, voice: Voice): void {
  voice.line();
  voice.title('Where to look next');
  const other = scenario.name === 'none' ? 'npm run demo -- --fail active' : 'npm run demo';
  voice.line(
    `  ${other.padEnd(30)} ${scenario.name === 'none' ? 'a failure' : 'the whole update'}`,
  );
  voice.line('  npm run demo -- --keep         the pair stays, to be talked to');
  voice.line('  npm run demo -- --console      the same update, by your own hand');
  voice.line('  docs/ARCHITECTURE.md           how it works, and why it is safe');
  voice.line('  docs/bundle.md                 what is inside update.bin');
}

function tell(report: DemoReport, scenario: Scenario, voice: Voice): void {
  tellReport(report, voice);
  if (report.kept !== null) tellKept(report.kept, voice);
  else tellNext(scenario, voice);
  voice.line();
  for (const fault of report.faults) voice.line(`FAULT: ${fault}`);
  if (!report.ok) voice.title('NOT AS EXPECTED');
  else if (scenario.exit === EXIT.done) voice.title('DONE');
  else voice.title(`DONE: failed as it should, exit status ${String(scenario.exit)}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      fail: { type: 'string', default: 'none' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      console: { type: 'boolean', default: false },
      stop: { type: 'string' },
      on: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage());
    return EXIT.done;
  }
  if (values.stop !== undefined) return stopKept(values.stop);
  if (values.on !== undefined) return switchOn(values.on);
  const scenario = scenarioOf(values.fail);
  if (scenario === undefined) {
    const words = SCENARIOS.map((row) => row.name).filter((name) => name !== 'none');
    const text = `--fail is "${values.fail}"; accepted: ${words.join(', ')}`;
    throw new UpdateError('usage.invalid', text);
  }
  const voice = makeVoice(values.json ? process.stderr : process.stdout);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupt.abort(new Error(name)));
  }
  voice.title(`Tandem demo in ${PROJECT_DIR}`);
  voice.line(scenario.title);
  voice.line();
  try {
    const options = { scenario, keep: values.keep, voice, signal: interrupt.signal };
    if (values.console) return await runConsole(options);
    const report = await runDemo(options);
    tell(report, scenario, voice);
    if (values.json) console.log(JSON.stringify(report));
    return report.ok ? scenario.exit : EXIT.internal;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    voice.line('Interrupted: everything was ended and removed.');
    return INTERRUPTED;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  // An exit status of its own class would look like the outcome of an update.
  process.exitCode = failure.code === 'usage.invalid' ? EXIT.usage : EXIT.internal;
}
