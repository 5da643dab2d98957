/**
 * Failpoints: what a line says, that nothing is touched without the id of this very boot, and what
 * strikes once where it was armed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Effect } from '../../src/core/state.ts';
import {
  FAILPOINT_BOOT_VARIABLE,
  FAILPOINT_VARIABLE,
  FAILPOINTS,
  parseFailpoint,
  withFailpoints,
} from '../../src/drivers/failpoints.ts';
import type { Journal, JournalRecord, PeerLink } from '../../src/ports.ts';

const RECORD = { kind: 'rollout', record: { phase: 'ACT1' } } as unknown as JournalRecord;
const NODE_RECORD = { kind: 'node', record: {} } as unknown as JournalRecord;
const ARM = { do: 'arm' } as unknown as Effect;

/** Ports that note what reaches them. */
function makePorts() {
  const done: string[] = [];
  const heard: ((message: unknown) => void)[] = [];
  const journal: Journal = {
    read: () => Promise.reject(new Error('not asked')),
    append: (record) => {
      done.push(`append ${record.kind}`);
      return Promise.resolve();
    },
    repair: () => Promise.reject(new Error('not asked')),
  };
  const link: PeerLink = {
    send: (message) => done.push(`send ${(message as { type: string }).type}`),
    onMessage: (listener) => heard.push(listener),
    onChange: () => undefined,
    channels: () => [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const execute = (effect: Effect): Promise<void> => {
    done.push(`do ${effect.do}`);
    return Promise.resolve();
  };
  return { done, heard, ports: { journal, link, execute } };
}

t.test('a line says moment, point, phase and action', async (t) => {
  t.strictSame(parseFailpoint('before:write-rollout@ACT1=kill\n'), {
    moment: 'before',
    point: 'write-rollout',
    phase: 'ACT1',
    action: 'kill',
  });
  t.match(parseFailpoint('after:do-arm=stall:2500'), { phase: null, action: { stallMs: 2500 } });
  t.match(parseFailpoint('before:hear-report=fail'), { action: 'fail' });
  for (const point of FAILPOINTS) t.match(parseFailpoint(`before:${point}=fail`), { point });
  const bad = ['', 'write-node=kill', 'before:write=kill', 'before:do-arm', 'before:do-arm=stall'];
  for (const text of [...bad, 'after:send-report=fail', 'before:do-arm=stall:1234567']) {
    t.throws(() => parseFailpoint(text), { code: 'usage.invalid' }, text);
  }
});

t.test('without the id of this boot the ports come back as they are', async (t) => {
  const { ports } = makePorts();
  const file = join(t.testdir(), 'failpoint');
  writeFileSync(file, 'before:do-arm=kill');
  const rest = { bootId: 'this', phase: () => null, log: (): void => undefined };
  for (const env of [
    {},
    { [FAILPOINT_VARIABLE]: file },
    { [FAILPOINT_VARIABLE]: file, [FAILPOINT_BOOT_VARIABLE]: 'another' },
    { [FAILPOINT_VARIABLE]: '', [FAILPOINT_BOOT_VARIABLE]: 'this' },
    { [FAILPOINT_BOOT_VARIABLE]: 'this' },
  ]) {
    t.equal(withFailpoints({ ...rest, env }, ports), ports);
  }
});

t.test('an armed point strikes once, in its phase, at its moment', async (t) => {
  const { done, heard, ports } = makePorts();
  const file = join(t.testdir(), 'failpoint');
  let phase: string | null = null;
  const lines: string[] = [];
  const env = { [FAILPOINT_VARIABLE]: file, [FAILPOINT_BOOT_VARIABLE]: 'this' };
  const log = (line: string): void => void lines.push(line);
  const struck = withFailpoints({ env, bootId: 'this', phase: () => phase, log }, ports);
  const arm = (text: string): void => writeFileSync(file, text);
  const reached = (): readonly string[] => done.splice(0);

  await struck.execute(ARM);
  t.strictSame(reached(), ['do arm'], 'nothing is armed');
  arm('before:write-rollout@ACT1=fail');
  await struck.journal.append(NODE_RECORD);
  await t.rejects(struck.journal.append(RECORD), { code: 'state.io' }, 'its own phase counts');
  t.notOk(existsSync(file), 'it is spent');
  await struck.journal.append(RECORD);
  t.strictSame(reached(), ['append node', 'append rollout']);

  arm('after:do-arm@TRIAL1=fail');
  await struck.execute(ARM);
  phase = 'TRIAL1';
  await t.rejects(struck.execute(ARM), { code: 'state.io' });
  t.strictSame(reached(), ['do arm', 'do arm'], 'it was done before it failed');

  arm('before:send-report=fail');
  struck.link.send({ type: 'event' });
  struck.link.send({ type: 'report' });
  struck.link.send({ type: 'report' });
  t.strictSame(reached(), ['send event', 'send report'], 'one message is lost');
  const got: unknown[] = [];
  struck.link.onMessage((message) => got.push(message));
  arm('before:hear-rollout=fail');
  for (const type of ['rollout', 'report', 'rollout']) heard[0]?.({ type });
  t.strictSame(got, [{ type: 'report' }, { type: 'rollout' }]);

  arm('before:do-arm=stall:30');
  const startMs = performance.now();
  await struck.execute(ARM);
  t.ok(performance.now() - startMs >= 30, 'it stood still before it went on');
  arm('before:do-nothing=kill');
  await struck.execute(ARM);
  t.match(lines.at(-1), /"before:do-nothing=kill" is no failpoint/);
});

t.test('kill ends the process at the point', async (t) => {
  const file = join(t.testdir({ failpoint: 'before:do-arm=kill' }), 'failpoint');
  const module = fileURLToPath(new URL('../../src/drivers/failpoints.ts', import.meta.url));
  const script = `
    const { withFailpoints } = await import(${JSON.stringify(module)});
    const execute = async () => console.log('done');
    const options = { env: process.env, bootId: 'this', phase: () => null, log: () => undefined };
    await withFailpoints(options, { journal: {}, link: {}, execute }).execute({ do: 'arm' });`;
  const env = { ...process.env, [FAILPOINT_VARIABLE]: file, [FAILPOINT_BOOT_VARIABLE]: 'this' };
  const run = (): unknown => {
    const end = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env });
    return [end.signal, end.stdout.toString()];
  };
  t.strictSame(run(), ['SIGKILL', '']);
  t.strictSame(run(), [null, 'done\n'], 'the next one lives');
});
