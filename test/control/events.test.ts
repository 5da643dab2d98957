/**
 * The event stream: order, filters, a reader that stalls, heartbeats, and the client that resumes
 * after the daemon went away.
 */
import t from 'tap';
import { ControlClient } from '../../src/control/client.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import type { TandemEvent } from '../../src/core/status.ts';
import { dial, openBench, readAll, until, type Bench } from './harness.ts';

async function collect(stream: AsyncIterable<TandemEvent>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const event of stream) seqs.push(event.seq);
  return seqs;
}

/** Follows in the background until `stop`; shows what was seen so far. */
function follower(bench: Bench, options: { since?: number; job?: string } = {}) {
  const seen: number[] = [];
  const notes: string[] = [];
  const over = new AbortController();
  const client = new ControlClient(bench.socketPath);
  const run = async (): Promise<void> => {
    const events = client.follow({
      ...options,
      signal: over.signal,
      onLost: (error: UpdateError) => notes.push(error.code),
      onBack: () => notes.push('back'),
    });
    for await (const event of events) seen.push(event.seq);
  };
  const done = run();
  const stop = async (): Promise<void> => {
    over.abort();
    await done;
  };
  return { seen, notes, stop, [Symbol.asyncDispose]: stop };
}

t.test('kept events, by sequence number and job', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath);
  for (const job of ['r1', 'r2', 'r1', null]) bench.backend.emit({ job });
  t.same(await collect(client.events()), [1, 2, 3, 4]);
  t.same(await collect(client.events({ since: 2 })), [3, 4]);
  t.same(await collect(client.events({ job: 'r1' })), [1, 3]);
  t.same(await collect(client.events({ since: 9 })), []);
  t.equal(bench.backend.listeners, 0);
});

t.test('a follower gets the kept ones, then every new one, once and in order', async (t) => {
  await using bench = await openBench();
  bench.backend.emit();
  await using reader = follower(bench, { job: 'r1' });
  await until(() => reader.seen.length === 1);
  bench.backend.emit({ job: 'other' });
  for (let count = 0; count < 50; count++) bench.backend.emit();
  await until(() => reader.seen.length === 51);
  t.same(reader.seen, [1, ...Array.from({ length: 50 }, (_, index) => index + 3)]);
  await reader.stop();
  await until(() => bench.backend.listeners === 0);
  t.same(reader.notes, []);
});

t.test('a follower resumes after the daemon restarted, and says so once', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  await using reader = follower(bench);
  backend.emit();
  await until(() => reader.seen.length === 1);
  await bench.stop();
  backend.emit();
  await until(() => reader.notes.length === 1);
  await bench.start();
  await until(() => reader.seen.length === 2);
  backend.emit();
  await until(() => reader.seen.length === 3);
  t.same(reader.seen, [1, 2, 3]);
  t.same(reader.notes, ['daemon.unreachable', 'back']);
});

t.test('a follower may be there before the daemon', async (t) => {
  await using bench = await openBench();
  await bench.stop();
  bench.backend.emit();
  await using reader = follower(bench);
  await until(() => reader.notes.length === 1);
  await bench.start();
  await until(() => reader.seen.length === 1);
  t.same(reader.notes, ['daemon.unreachable', 'back']);
});

t.test('a reader that stalls is not queued for, is cut off, and others go on', async (t) => {
  await using bench = await openBench({ stallMs: 300 });
  const { backend } = bench;
  const stalled = await dial(bench);
  stalled.pause();
  stalled.write('GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
  await using reader = follower(bench);
  await until(() => backend.listeners === 2);
  const msg = 'x'.repeat(10_000);
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  for (let count = 1; count <= 1000; count++) backend.emit({ msg });
  const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().external - before;
  t.ok(grown < 5_000_000, `10 MB of events cost ${grown} bytes of buffers`);
  await until(() => reader.seen.length === 1000);
  await until(() => backend.listeners === 1);
  stalled.resume();
  const text = await readAll(stalled).catch(() => '');
  t.ok(text.length < 3_000_000, 'the stalled reader got what its buffers held, not all');
  t.same(reader.seen.at(-1), 1000);
});

t.test('a reader that was slow for a moment gets everything', async (t) => {
  await using bench = await openBench();
  const slow = await dial(bench);
  slow.pause();
  slow.write('GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => bench.backend.listeners === 1);
  const msg = 'y'.repeat(10_000);
  for (let count = 1; count <= 300; count++) bench.backend.emit({ msg });
  let text = '';
  slow.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  slow.resume();
  await until(() => text.includes('"seq":300,'));
  slow.destroy();
  const seqs = [...text.matchAll(/"seq":(\d+),/g)].map((match) => Number(match[1]));
  t.same(
    seqs,
    Array.from({ length: 300 }, (_, index) => index + 1),
  );
});

t.test('a quiet stream has heartbeats, which are not events', async (t) => {
  await using bench = await openBench({ heartbeatMs: 20 });
  const socket = await dial(bench);
  socket.write('GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await until(() => (text.match(/1\r\n\n\r\n/g) ?? []).length >= 3);
  socket.destroy();
  await using reader = follower(bench);
  await until(() => bench.backend.listeners >= 1);
  bench.backend.emit();
  await until(() => reader.seen.length === 1);
  t.same(reader.seen, [1]);
});
