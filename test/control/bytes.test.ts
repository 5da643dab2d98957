/**
 * Archives over the control socket: every byte arrives in order and only as fast as it is taken;
 * one that breaks off is an error on both sides; what is asked for is checked before.
 */
import { once } from 'node:events';
import t from 'tap';
import { ControlClient } from '../../src/control/client.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { dial, openBench, raw, until } from './harness.ts';

const NAME = 'support-A-20261121T113548Z-0a1b.tar.gz';
const MIB = 1024 * 1024;

async function sizeOf(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of bytes) size += chunk.length;
  return size;
}

t.test('a kept archive and a new one, with the name and the reason of who asks', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath, { caller: 'anna' });
  bench.backend.archive = [new Uint8Array(3 * MIB), new Uint8Array(5)];
  t.equal(await sizeOf(client.supportArchive(NAME)), 3 * MIB + 5);
  t.equal(await sizeOf(client.supportStream('ticket 7')), 3 * MIB + 5);
  t.same(bench.backend.asked, [
    { what: 'archive', value: NAME },
    { what: 'stream', value: null, by: 'anna', reason: 'ticket 7' },
  ]);
  t.match(await client.support(), { node: 'A', archives: [{ name: NAME }] });
  t.match(await client.deleteSupport(NAME), { name: NAME });
  t.match(await client.power(), { restart: { word: 'A' }, shutdown: { kind: 'shutdown' } });
});

t.test('refusals come as errors, not as archives', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath);
  const none = client.supportArchive('support-A-none.tar.gz');
  await t.rejects(sizeOf(none), { code: 'file.not_found' });
  bench.backend.refusal = new UpdateError('job.busy', 'one at a time');
  await t.rejects(sizeOf(client.supportStream()), { code: 'job.busy' });
  bench.backend.refusal = null;
  bench.backend.archive = [new UpdateError('support.space', 'no room')];
  await t.rejects(
    sizeOf(client.supportStream()),
    { code: 'support.space' },
    'before its first byte',
  );
  bench.backend.archive = [];
  await t.rejects(sizeOf(client.supportStream()), { code: 'state.io' });
  t.match(await raw(bench, 'GET', '/v1/support/..%2Fkey'), { status: 404 });
  t.match(await raw(bench, 'POST', '/v1/support', '{"path":"/x"}'), { status: 400 });
});

t.test('one that breaks off is lost, whatever came before', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath);
  bench.backend.archive = [new Uint8Array(100), new Error('the disk is dead')];
  await t.rejects(sizeOf(client.supportStream()), { code: 'daemon.unreachable' });
});

t.test('a reader that takes nothing is not sent more, and is cut off in the end', async (t) => {
  await using bench = await openBench({ stallMs: 200 });
  let taken = 0;
  bench.backend.archive = Array.from({ length: 64 }, () => new Uint8Array(MIB));
  const stream = bench.backend.supportStream.bind(bench.backend);
  bench.backend.supportStream = async (...asked) => {
    const bytes = await stream(...asked);
    return (async function* () {
      for await (const chunk of bytes) {
        taken += 1;
        yield chunk;
      }
    })();
  };
  const socket = await dial(bench);
  socket.pause();
  const closed = once(socket, 'close');
  socket.write('POST /v1/support HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
  await until(() => taken > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.ok(taken < 8, `${taken} of 64 chunks were taken`);
  socket.on('error', () => undefined);
  socket.resume();
  await closed;
  t.ok(taken < 8, 'and no more when it was cut off');
});
