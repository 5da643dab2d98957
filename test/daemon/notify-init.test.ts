/**
 * What the init system is told, word by word, on both ways, with a clock of the test. That a real
 * socket carries it is in test/package. Imports the notes, tap and a host in memory.
 */
import t from 'tap';
import { alsoAlive, openNotes, type NotifyParts } from '../../src/daemon/notify-init.ts';
import { MemoryHost } from '../memory/host.ts';

/** Parts that write down what happens. */
function recorder() {
  const seen: string[] = [];
  const clock = { ms: 5 };
  const fails: { code: string | null; start: string | null } = { code: null, start: null };
  const parts: NotifyParts = {
    pid: 7,
    monotonicMs: () => clock.ms,
    log: (line) => void seen.push(`log ${line}`),
    write: (fd, text) => {
      if (fails.code === null) seen.push(`${fd} ${text}`);
      else throw Object.assign(new Error(`write ${fails.code}`), { code: fails.code });
    },
    start: (program, args, env, onError) => {
      seen.push([program, ...args, env['NOTIFY_SOCKET']].join(' '));
      if (fails.start !== null) onError(new Error(fails.start));
    },
  };
  const open = (env: NodeJS.ProcessEnv) => openNotes(env, parts.log, parts);
  return { seen, clock, fails, open };
}

const SOCKET = { NOTIFY_SOCKET: '/run/systemd/notify' };

t.test('nobody asked to be told', async (t) => {
  const { seen, open } = recorder();
  for (const env of [{}, { NOTIFY_SOCKET: '' }, { TANDEM_NOTIFY: 'fd:5', WATCHDOG_USEC: '9' }]) {
    const notes = open(env);
    notes.ready('up');
    notes.alive();
    notes.stopping();
  }
  t.strictSame(seen, []);
});

t.test('words go through the descriptor, and no child inherits who is told', async (t) => {
  const { seen, open } = recorder();
  const env = {
    ...SOCKET,
    TANDEM_NOTIFY: 'fd:5',
    WATCHDOG_USEC: '1',
    WATCHDOG_PID: '7',
    PATH: '/b',
  };
  const notes = open(env);
  t.strictSame(env, { PATH: '/b' });
  notes.ready('node A runs\nMAINPID=1');
  notes.stopping();
  t.strictSame(seen, [
    '5 READY=1\nSTATUS=node A runs MAINPID=1',
    '5 STOPPING=1\nSTATUS=The service ends',
  ]);
});

t.test('a sign of life comes at most three times within the limit', async (t) => {
  const { seen, clock, open } = recorder();
  const notes = open({ ...SOCKET, TANDEM_NOTIFY: 'fd:5', WATCHDOG_USEC: '30000000' });
  for (let second = 0; second <= 60; second++) {
    clock.ms = 1000 * second;
    notes.alive();
  }
  t.strictSame(
    seen,
    Array.from({ length: 7 }, () => '5 WATCHDOG=1'),
  );
});

t.test('no watchdog was asked for, or it is for another process', async (t) => {
  const { seen, open } = recorder();
  const others = [{}, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: '-5' }, { WATCHDOG_USEC: 'x' }];
  for (const one of [...others, { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '8' }]) {
    open({ ...SOCKET, TANDEM_NOTIFY: 'fd:5', ...one }).alive();
  }
  t.strictSame(seen, []);
});

t.test('without a descriptor the program tells', async (t) => {
  const { seen, fails, open } = recorder();
  const notes = open({ ...SOCKET, WATCHDOG_USEC: '3000000', TANDEM_NOTIFY: 'nonsense' });
  notes.ready('up');
  fails.start = 'spawn ENOENT';
  notes.alive();
  notes.stopping();
  t.strictSame(seen, [
    'systemd-notify READY=1 STATUS=up /run/systemd/notify',
    'systemd-notify WATCHDOG=1 /run/systemd/notify',
    'log systemd-notify cannot be started: spawn ENOENT',
    'systemd-notify STOPPING=1 STATUS=The service ends /run/systemd/notify',
  ]);
});

t.test(
  'a socket that is full loses a word, one that is gone is left for the program',
  async (t) => {
    const { seen, fails, open } = recorder();
    const notes = open({ ...SOCKET, TANDEM_NOTIFY: 'fd:5' });
    fails.code = 'EAGAIN';
    notes.ready('up');
    t.strictSame(seen, []);
    fails.code = 'ECONNREFUSED';
    notes.ready('up');
    notes.stopping();
    t.strictSame(seen, [
      'log the init system hears nothing on its socket: write ECONNREFUSED',
      'systemd-notify READY=1 STATUS=up /run/systemd/notify',
      'systemd-notify STOPPING=1 STATUS=The service ends /run/systemd/notify',
    ]);
  },
);

t.test('what feeds the hardware watchdog is a sign of life', async (t) => {
  const host = new MemoryHost({ bootId: 'b', slot: 'A', reason: 'default', attempt: 0 });
  let alive = 0;
  const both = alsoAlive(host, { alive: () => void (alive += 1) });
  both.feedWatchdog();
  both.feedWatchdog();
  t.strictSame([host.fed, alive, both.boot()], [2, 2, host.boot()]);
});
