/**
 * Safe mode on a real socket: a damaged journal is served, not hidden; every change is refused with
 * its code; what is no matter of safe mode ends the daemon. May import tap, node: and the rooms of
 * daemon and control.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { Config } from '../../src/config.ts';
import { ControlClient } from '../../src/control/client.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { NO_INIT } from '../../src/daemon/init.ts';
import { serveSafeMode } from '../../src/daemon/safe-mode.ts';
import { MemoryHost } from '../memory/host.ts';

const never = new AbortController().signal;
const host = (): MemoryHost =>
  new MemoryHost({ bootId: 'boot-7', slot: 'B', reason: 'trial', attempt: 1 });

const configOf = (socket: string): Config =>
  ({
    node: 'B',
    control: { socket, consoleSocket: `${socket}.console`, group: '' },
    stateDir: dirname(socket),
    runDir: dirname(socket),
    console: { serviceShell: 'off' },
    remote: null,
    link: { listen: '', peer: '', bulk: '', serial: null, serialBaud: 9600, silentMs: 1200 },
    service: { address: '' },
  }) as unknown as Config;

for (const code of ['journal.corrupt', 'state.newer_schema', 'pair.replaced'] as const) {
  t.test(`${code} is served`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tandem-safe-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const socket = join(folder, 'c.sock');
    const stop = new AbortController();
    const cause = new UpdateError(code, 'The journal has a damaged record in journal.0');
    const ended = serveSafeMode(configOf(socket), host(), cause, stop.signal);
    const client = new ControlClient(socket);
    // The server listens within this start, and the client does not wait for it.
    while (!existsSync(socket)) await setImmediate();
    const status = await client.status(never);
    t.match(status, { state: 'SAFE_MODE', self: 'B', ha: { ok: false }, rollout: null });
    t.match(status.nodes.B, { known: true, update: 'safe mode', boot: { id: 'boot-7' } });
    t.match(status.nodes.A, { known: false, ageMs: null, role: 'unknown' });
    t.match(status.alarms, [{ code, node: 'B', message: /damaged record in journal\.0\.? .+/ }]);
    const changes: readonly Promise<unknown>[] = [
      client.start({ kind: 'update', source: { path: '/x.bin' } }, never),
      client.start({ kind: 'stage', path: '/x.bin' }, never),
      client.start({ kind: 'rollback' }, never),
      client.start({ kind: 'commit' }, never),
      client.replace({ node: 'A' }, never),
      client.cancel('update-1', never),
      client.validate('/x.bin', never),
      client.job('update-1', never),
      client.set({ key: 'idleMin', value: '5' }, never),
    ];
    for (const change of changes) await t.rejects(change, { code });
    t.strictSame(await client.jobs(never), []);
    t.strictSame(await client.bundles(never), []);
    t.match(await client.settings(never), { node: 'B', settings: { idleMin: 10 } });
    t.strictSame(await client.history(5, never), []);
    const login = { user: 'anna', password: 'correct horse battery' };
    const door = new ControlClient(configOf(socket).control.consoleSocket);
    await t.rejects(door.access.login(login, never), { code: 'access.no_users' });
    const add = { do: 'add', name: login.user, role: 'viewer', password: login.password } as const;
    await client.access.changeUser(add, never);
    await door.access.login(login, never);
    t.match(await door.status(never), { state: 'SAFE_MODE', operator: null });
    stop.abort();
    await ended;
    await t.rejects(client.status(never), { code: 'daemon.unreachable' });
  });
}

t.test('a trial of a program that is too old for the journal restarts by itself', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-safe-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const config = configOf(join(folder, 'c.sock'));
  const newer = new UpdateError('state.newer_schema', 'The journal has schema 2');
  const trial = host();
  await t.rejects(serveSafeMode(config, trial, newer, never, NO_INIT, 1));
  t.match(trial.reboots, [/state\.newer_schema/]);

  const stop = new AbortController();
  const boot = { bootId: 'boot-7', slot: 'B', reason: 'default', attempt: 0 } as const;
  const usual = new MemoryHost(boot);
  const damaged = host();
  const corrupt = new UpdateError('journal.corrupt', 'The journal has a damaged record');
  const waiting = [
    serveSafeMode(configOf(join(folder, 'd.sock')), usual, newer, stop.signal, NO_INIT, 1),
    serveSafeMode(configOf(join(folder, 'e.sock')), damaged, corrupt, stop.signal, NO_INIT, 1),
  ];
  while (!existsSync(join(folder, 'e.sock'))) await setImmediate();
  for (let turn = 0; turn < 50; turn += 1) await setImmediate();
  stop.abort();
  await Promise.all(waiting);
  t.strictSame([...usual.reboots, ...damaged.reboots], [], 'else a person decides');
});

t.test('anything else ends the daemon', async (t) => {
  const config = configOf('/nowhere/c.sock');
  for (const code of ['state.io', 'internal.bug', 'boot.io'] as const) {
    const cause = new UpdateError(code, 'no');
    await t.rejects(serveSafeMode(config, host(), cause, never), { code });
  }
  await t.rejects(serveSafeMode(config, host(), new TypeError('x'), never), {
    code: 'internal.bug',
  });
});

t.test('a signal that came before ends it at once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-safe-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const cause = new UpdateError('journal.corrupt', 'no');
  await serveSafeMode(configOf(join(folder, 'c.sock')), host(), cause, AbortSignal.abort());
  t.pass('and it returns');
});

for (const kind of ['restart', 'shutdown'] as const) {
  t.test(`${kind} in safe mode: at once, noted, the journal stays as it is`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tandem-safe-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const socket = join(folder, 'c.sock');
    const stop = new AbortController();
    const cause = new UpdateError('journal.corrupt', 'The journal has a damaged record');
    const machine = host();
    const ended = serveSafeMode(configOf(socket), machine, cause, stop.signal);
    const client = new ControlClient(socket, { caller: 'anna' });
    while (!existsSync(socket)) await setImmediate();
    const { [kind]: view } = await client.power(never);
    t.match(view, { node: 'B', refusal: null, handsOverTo: null, word: 'B' });
    t.match(await client.support(never), { node: 'B', archives: [] });
    t.match(await client.start({ kind, reason: 'try again' }, never), { kind });
    while (machine.reboots.length + machine.offs.length === 0) await setImmediate();
    const words = [`${kind} asked for by anna, in safe mode`];
    const [boots, offs] = kind === 'restart' ? [words, []] : [[], words];
    t.strictSame([machine.reboots, machine.offs], [boots, offs]);
    const entry = { act: kind, by: 'anna', reason: 'try again', result: 'accepted' };
    let entries = await client.audit(10, never);
    while (entries.length < 2) entries = await client.audit(10, never);
    t.match(entries.at(-1), entry);
    stop.abort();
    await ended;
  });
}
