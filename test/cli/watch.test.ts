/**
 * A daemon that stops speaking: after three seconds what is shown of it is unknown, in a wait, a
 * followed job and a watched status; in virtual time. Imports the command line and the updater's
 * clock for tests.
 */
import t from 'tap';
import { lineFollower, quietFollower, terminalFollower } from '../../src/cli/follow.ts';
import type { CliClock, CliIo } from '../../src/cli/verb.ts';
import { Watch, type JobClient } from '../../src/cli/wait.ts';
import { answered } from '../../src/cli/silence.ts';
import { untilServes } from '../../src/cli/operator.ts';
import { waitReady, watchStatus } from '../../src/cli/watch.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { jobStatus, nodeStatus, pairStatus, rolloutStatus } from '../memory/backend.ts';
import { VirtualClock } from '../updater/virtual-clock.ts';

/** A daemon that answers, hangs or is away, and the outside of a command in virtual time. */
class Bench {
  readonly clock = new VirtualClock();
  readonly abort = new AbortController();
  daemon: 'answers' | 'hangs' | 'away' = 'answers';
  pair: PairStatus = pairStatus({ rollout: rolloutStatus() });
  out = '';
  err = '';

  readonly cliClock: CliClock = {
    nowMs: () => this.clock.nowMs,
    sleep: async (ms, signal) => {
      await this.clock.pause(ms, signal);
      signal.throwIfAborted();
    },
  };

  io(errIsTerminal: boolean): CliIo {
    return {
      out: (text) => void (this.out += text),
      err: (text) => void (this.err += text),
      errIsTerminal,
      columns: 80,
      rows: 24,
      env: {},
      signal: this.abort.signal,
      clock: this.cliClock,
    };
  }

  /** What was printed since the last time. */
  said(): string {
    const text = this.out + this.err;
    this.out = '';
    this.err = '';
    return text;
  }

  async #answer<T>(value: () => T, signal?: AbortSignal): Promise<T> {
    if (this.daemon === 'away') throw new UpdateError('daemon.unreachable', 'no daemon on /x');
    while (this.daemon === 'hangs') {
      await this.clock.pause(100, signal ?? this.abort.signal);
      signal?.throwIfAborted();
    }
    return value();
  }

  readonly client: JobClient = {
    job: (_id, signal) => this.#answer(jobStatus, signal),
    status: (signal) => this.#answer(() => this.pair, signal),
    follow: async function* () {},
    events: async function* () {},
  };

  /** Ends the command and waits for it. */
  async end(running: Promise<unknown>): Promise<unknown> {
    this.abort.abort();
    return this.clock.until(running.catch((error: unknown) => error));
  }
}

t.test('a followed job on a terminal: unknown after three seconds, and again after', async (t) => {
  const bench = new Bench();
  const follower = terminalFollower(bench.io(true));
  const watch = new Watch(bench.client, jobStatus(), follower, 0, bench.cliClock);
  const running = watch.run(bench.abort.signal, true);
  await bench.clock.advance(5000);
  t.match(bench.said(), 'Update to 2.0.0 in progress (node A is on trial');
  bench.daemon = 'hangs';
  await bench.clock.advance(3000);
  t.equal(bench.said(), '', 'what is three seconds old is still shown');
  await bench.clock.advance(1000);
  const silent = bench.said();
  t.match(silent, 'No word from the daemon for 4 s: what the job does now is UNKNOWN.');
  t.match(silent, /Last known at 2026.*: Update to 2\.0\.0 in progress/);
  t.ok(silent.startsWith('\x1b['), 'in the place of the old view');
  t.notMatch(silent, 'restarted into the trial', 'no fact of the old view is left');
  await bench.clock.advance(10_000);
  t.match(bench.said(), 'for 14 s');
  bench.daemon = 'answers';
  await bench.clock.advance(1000);
  t.match(bench.said(), 'restarted into the trial');
  await bench.end(running);
});

t.test('a wait, and plain lines: told once, and when it speaks again', async (t) => {
  for (const follow of [false, true]) {
    const bench = new Bench();
    const io = bench.io(false);
    const follower = follow ? lineFollower('update', io) : quietFollower(io);
    const watch = new Watch(bench.client, jobStatus(), follower, 0, bench.cliClock);
    const running = watch.run(bench.abort.signal, follow);
    await bench.clock.advance(2000);
    t.equal(bench.said(), '');
    bench.daemon = 'hangs';
    await bench.clock.advance(20_000);
    t.equal(bench.said(), 'No word from the daemon for 4 s; the job goes on or resumes.\n');
    bench.daemon = 'answers';
    await bench.clock.advance(1000);
    t.equal(bench.said(), 'The daemon speaks again.\n');
    await bench.end(running);
  }
});

const picture = {
  lines: (status: PairStatus) => [`state ${status.state}`, `node A serves`],
  json: (status: PairStatus) => ({ ready: true, state: status.state }),
};

t.test('a watched status on a terminal', async (t) => {
  const bench = new Bench();
  const running = watchStatus(bench.client, picture, { watch: true }, bench.io(true));
  await bench.clock.advance(1500);
  t.match(bench.said(), /^\rstate HEALTHY.*\n.*node A serves.*\n.*\n.*Ctrl-C ends the watch/);
  bench.daemon = 'hangs';
  await bench.clock.advance(4000);
  const silent = bench.said();
  t.match(silent, 'UNKNOWN: no word from the daemon for 4 s');
  t.match(silent, /Last known at .*: HEALTHY\./);
  t.notMatch(silent, 'node A serves');
  bench.daemon = 'away';
  await bench.clock.advance(1500);
  t.match(bench.said(), 'UNKNOWN: no ');
  bench.daemon = 'answers';
  await bench.clock.advance(1500);
  t.match(bench.said(), 'node A serves');
  t.equal(await bench.end(running), 0, 'Ctrl-C ends a watch well');
});

t.test('a watched status for scripts and in a pipe', async (t) => {
  const bench = new Bench();
  const json = watchStatus(bench.client, picture, { watch: true, json: true }, bench.io(false));
  await bench.clock.advance(500);
  bench.daemon = 'hangs';
  await bench.clock.advance(4000);
  const lines = bench.said().trimEnd().split('\n');
  t.same(JSON.parse(lines[0] ?? ''), { ready: true, state: 'HEALTHY' });
  t.match(JSON.parse(lines.at(-1) ?? ''), { ready: false, state: 'UNKNOWN', quiet_s: 4 });
  await bench.end(json);

  const pipe = new Bench();
  const plain = watchStatus(pipe.client, picture, { watch: true }, pipe.io(false));
  await pipe.clock.advance(5000);
  t.equal(pipe.said(), 'state HEALTHY\nnode A serves\n\n', 'once, while nothing changes');
  pipe.daemon = 'hangs';
  await pipe.clock.advance(9000);
  t.equal(pipe.said(), 'UNKNOWN: no word from the daemon for 4 s\n\n');
  pipe.daemon = 'answers';
  pipe.pair = pairStatus({ state: 'ALONE' });
  await pipe.clock.advance(2000);
  t.equal(pipe.said(), 'state ALONE\nnode A serves\n\n');
  await pipe.end(plain);
});

t.test('a wait for the pair says so too, and ends when it is ready', async (t) => {
  const bench = new Bench();
  const reform = [{ name: 'storage', state: 'waiting', text: 'syncs' }] as const;
  bench.pair = pairStatus({ ha: { ok: false, text: 'no' }, reform });
  const running = waitReady(bench.client, { 'wait-ready': true }, bench.io(false));
  await bench.clock.advance(2000);
  t.equal(bench.said(), 'waiting for: storage\n');
  bench.daemon = 'hangs';
  await bench.clock.advance(8000);
  t.equal(bench.said(), 'no word from the daemon for 4 s\n');
  bench.daemon = 'answers';
  bench.pair = pairStatus();
  t.match(await bench.clock.until(running), { state: 'HEALTHY' });
});

t.test('a switchover that is waited for says so too, once, and ends well', async (t) => {
  for (const daemon of ['hangs', 'away'] as const) {
    const bench = new Bench();
    const nodes = { A: nodeStatus('A'), B: nodeStatus('B', { serving: false }) };
    bench.pair = pairStatus({ nodes });
    const running = untilServes(bench.client, 'B', {}, bench.io(false));
    await bench.clock.advance(2000);
    t.equal(bench.said(), '');
    bench.daemon = daemon;
    await bench.clock.advance(9000);
    const words = daemon === 'hangs' ? 'no word from the daemon for 4 s' : 'no daemon on /x';
    t.equal(bench.said(), `${words}\n`);
    bench.daemon = 'answers';
    bench.pair = pairStatus({ nodes: { ...nodes, B: nodeStatus('B', { serving: true }) } });
    t.equal(await bench.clock.until(running), undefined);
  }
});

t.test('one look at a daemon that hangs: a person is told why nothing comes', async (t) => {
  const bench = new Bench();
  bench.daemon = 'hangs';
  const answer = answered(bench.client.status(), bench.io(true));
  await bench.clock.advance(3000);
  t.equal(bench.said(), '');
  await bench.clock.advance(5000);
  t.equal(bench.said(), 'no word from the daemon for 4 s\n');
  bench.daemon = 'answers';
  t.match(await bench.clock.until(answer), { state: 'HEALTHY' });
  t.match(await answered(bench.client.status(), bench.io(true)), { state: 'HEALTHY' });
  t.equal(bench.said(), '', 'nothing of it remains');
});

t.test('a watch until the pair is ready, and one that was not patient enough', async (t) => {
  const bench = new Bench();
  const values = { watch: true, 'wait-ready': true };
  t.equal(await bench.clock.until(watchStatus(bench.client, picture, values, bench.io(true))), 0);
  const late = new Bench();
  late.pair = pairStatus({ ha: { ok: false, text: 'no' } });
  const running = watchStatus(late.client, picture, values, late.io(true));
  await late.clock.advance(2000);
  t.match(await late.end(running), { code: 'wait.detached' });
});
