/**
 * Settings of a node on a real disk: what counts when the file is missing, damaged or newer, what a
 * change writes, and who stands in the audit log for it. And which bundles are staged.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts';
import { AuditLog } from '../../src/daemon/audit.ts';
import { changeSetting, SettingsFile, type SettingsConfig } from '../../src/daemon/settings.ts';
import { memoryLines } from './harness.ts';

const CALLER = { name: 'tech' };

const configIn = (stateDir: string): SettingsConfig => ({
  node: 'B',
  stateDir,
  runDir: join(stateDir, 'run'),
  link: {
    listen: '127.0.0.1:1',
    peer: '127.0.0.1:2',
    bulk: '127.0.0.1:3',
    serial: '/dev/ttyS1',
    serialBaud: 115_200,
    silentMs: 1200,
  },
  service: { address: '127.0.0.1:4', program: 'x', interface: null, prefix: null },
});

t.test('without a file the defaults count, and the network is told', async (t) => {
  const config = configIn(t.testdir());
  const file = await SettingsFile.open(config);
  const view = file.view();
  t.strictSame(view.settings, DEFAULT_SETTINGS);
  t.match(view, {
    node: 'B',
    changed: [],
    problem: null,
    file: join(config.stateDir, 'settings.json'),
  });
  t.match(view.network, { serial: '/dev/ttyS1, 115200 bit/s', service: '127.0.0.1:4' });
  t.notOk(view.network.interfaces.some(({ addresses }) => addresses.includes('127.0.0.1/8')));
});

t.test('what counts is beside the sockets, for consoles before a login', async (t) => {
  const dir = t.testdir({ run: {}, 'settings.json': '{"idleMin":7,"secret":1}' });
  const file = await SettingsFile.open(configIn(dir));
  const published = (): unknown => JSON.parse(readFileSync(join(dir, 'run/settings.json'), 'utf8'));
  t.strictSame(published(), { ...DEFAULT_SETTINGS, idleMin: 7 });
  await file.set('consoleSpeed', '115200');
  t.match(published(), { consoleSpeed: 115_200 });
  t.equal(statSync(join(dir, 'run/settings.json')).mode & 0o777, 0o644);
});

t.test('a change is kept, and fields of a newer program with it', async (t) => {
  const dir = t.testdir({ 'settings.json': '{"schema":1,"idleMin":5,"fontSize":12}' });
  const config = configIn(dir);
  const file = await SettingsFile.open(config);
  t.equal(file.settings.idleMin, 5);
  t.strictSame(await file.set('dateOrder', 'day-first'), { changed: true });
  t.strictSame(await file.set('dateOrder', 'day-first'), { changed: false });
  const path = join(dir, 'settings.json');
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), {
    schema: 1,
    idleMin: 5,
    fontSize: 12,
    dateOrder: 'day-first',
  });
  t.equal(statSync(path).mode & 0o777, 0o644);
  const again = await SettingsFile.open(config);
  t.match(again.view(), { changed: ['idleMin', 'dateOrder'], settings: { idleMin: 5 } });
});

t.test('what is not accepted is refused with what is', async (t) => {
  const file = await SettingsFile.open(configIn(t.testdir()));
  const wrong = [
    ['idleMin', '0'],
    ['idleMin', '241'],
    ['idleMin', '1e2'],
    ['consoleSpeed', '300'],
    ['dateOrder', 'ISO'],
    ['timeZone', 'mars'],
  ] as const;
  for (const [key, word] of wrong) {
    const message = new RegExp(`^${key} is ${word}; accepted: `);
    await t.rejects(file.set(key, word), { code: 'usage.invalid', message });
  }
  t.strictSame(file.settings, DEFAULT_SETTINGS);
});

t.test('a damaged file costs its own values alone, and is told', async (t) => {
  const dir = t.testdir({ 'settings.json': '' });
  const path = join(dir, 'settings.json');
  for (const [text, problem] of [
    ['{', /is not JSON/],
    ['[1]', /holds no JSON object/],
    ['{"idleMin":"many","dateOrder":"day-first"}', /idleMin .* its default counts/],
    [`"${'x'.repeat(70_000)}"`, /more than/],
  ] as const) {
    writeFileSync(path, text);
    const view = (await SettingsFile.open(configIn(dir))).view();
    t.match(view.problem, problem);
    t.equal(view.settings.idleMin, 10);
    t.equal(view.settings.dateOrder, text.includes('day-first') ? 'day-first' : 'iso');
  }
});

t.test('the audit log says who changed what, and what was refused', async (t) => {
  const file = await SettingsFile.open(configIn(t.testdir()));
  const lines = memoryLines();
  const audit = new AuditLog(lines, 'B', () => '2026-11-21T11:35:48.000Z');
  const asked = { key: 'idleMin', value: '20', reason: 'long watch' } as const;
  t.match(await changeSetting(file, audit, asked, CALLER), { changed: true });
  t.match(await changeSetting(file, audit, asked, CALLER), { changed: false });
  const wrong = { key: 'idleMin', value: 'x' } as const;
  await t.rejects(changeSetting(file, audit, wrong, CALLER), { code: 'usage.invalid' });
  t.match(await audit.recent(9), [
    { act: 'settings set idleMin', by: 'tech', result: 'refused', code: 'usage.invalid' },
    { result: 'unchanged' },
    { result: 'done', reason: 'long watch', message: 'idleMin is 20 now' },
  ]);
});
