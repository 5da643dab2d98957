/**
 * JSON lines between processes: any cut of the stream, limits, calls that end in every way, a
 * connection that comes and goes. Imports tap, fast-check and the driver.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import {
  createCalls,
  jsonLine,
  jsonLineReader,
  LINE_BYTES_MAX,
  openSocketCalls,
} from '../../src/drivers/json-lines.ts';
import { codeOf } from '../contracts/store.ts';
import { shortDir } from './short-dir.ts';

const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const lost = (): UpdateError => new UpdateError('store.unreachable', 'too late');

t.test('values come out as they went in, however the stream is cut', (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 60 });
  fc.assert(
    fc.property(fc.array(fc.record({ text }), { maxLength: 8 }), fc.nat(40), (values, cut) => {
      const stream = Buffer.from(values.map(jsonLine).join(''));
      const found: unknown[] = [];
      const feed = jsonLineReader((value) => found.push(value));
      for (let at = 0; at < stream.length; at += cut + 1) feed(stream.subarray(at, at + cut + 1));
      t.same(found, values);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('a line that is too long or not JSON ends it', (t) => {
  const piece = Buffer.alloc(LINE_BYTES_MAX, 'x');
  const feed = jsonLineReader(() => t.fail('there was no value'));
  feed(piece);
  t.throws(() => feed(Buffer.from('x')), { code: 'usage.invalid', message: /longer than/ });
  const whole = jsonLineReader(() => t.fail('there was no value'));
  const line = Buffer.concat([piece, Buffer.from('x\n')]);
  t.throws(() => whole(line), { code: 'usage.invalid' });
  t.throws(() => jsonLineReader(() => undefined)(Buffer.from('{\n')), { code: 'usage.invalid' });
  t.end();
});

t.test('answers find their calls; errors keep code and detail', async (t) => {
  const lines: string[] = [];
  const calls = createCalls((line) => lines.push(line), lost);
  const first = calls.call({ op: 'one' }, signal());
  const second = calls.call({ op: 'two' }, signal());
  t.same(lines, ['{"id":1,"op":"one"}\n', '{"id":2,"op":"two"}\n']);
  const error = { code: 'store.full', message: 'full', detail: { missingBytes: 3 } };
  t.equal(calls.settle({ id: 2, ok: false, error }), true);
  t.equal(calls.settle({ id: 1, ok: true, result: [1] }), true);
  t.equal(calls.settle({ id: 1, ok: true, result: [2] }), true, 'a second one changes nothing');
  t.equal(calls.settle({ status: {} }), false);
  t.equal(calls.settle(null), false);
  t.same(await first, [1]);
  await t.rejects(second, { code: 'store.full', message: 'full', detail: { missingBytes: 3 } });
});

t.test('a call ends with its signal or with all of them', async (t) => {
  const calls = createCalls(() => undefined, lost);
  t.equal(await codeOf(calls.call({}, AbortSignal.abort())), 'store.unreachable');
  const abort = new AbortController();
  const aborted = codeOf(calls.call({}, abort.signal));
  const failed = codeOf(calls.call({}, signal()));
  abort.abort();
  t.equal(await aborted, 'store.unreachable');
  calls.fail(new UpdateError('service.failed', 'all'));
  t.equal(await failed, 'service.failed');
});

t.test('a connection comes, goes and comes again', async (t) => {
  const path = join(shortDir(t), 'sock');
  const sockets: Socket[] = [];
  const events: string[] = [];
  const listen = async () => {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      const feed = jsonLineReader((value) => {
        const { id, op } = value as { id: number; op: string };
        if (op === 'silence') return;
        socket.write(jsonLine({ news: op }) + jsonLine({ id, ok: true, result: op }));
      });
      socket.on('data', feed);
    });
    server.listen(path);
    await once(server, 'listening');
    return server;
  };
  await using calls = openSocketCalls({
    path,
    onUp: () => events.push('up'),
    onDown: () => events.push('down'),
    onNews: (news) => events.push(JSON.stringify(news)),
  });
  const early = calls.call({ op: 'early' }, signal());
  const abort = new AbortController();
  const never = codeOf(calls.call({ op: 'never' }, abort.signal));
  abort.abort();
  t.equal(await never, 'store.unreachable');
  const first = await listen();
  t.equal(await early, 'early');
  t.equal(calls.up, true);
  const open = codeOf(calls.call({ op: 'silence' }, signal()));
  await calls.call({ op: 'here' }, signal());
  const closed = once(first, 'close');
  first.close();
  for (const socket of sockets) socket.destroy();
  t.equal(await open, 'store.unreachable');
  await closed;
  await rm(path, { force: true });
  const second = await listen();
  t.equal(await calls.call({ op: 'again' }, signal()), 'again');
  t.same(events, ['up', '{"news":"early"}', '{"news":"here"}', 'down', 'up', '{"news":"again"}']);
  second.close();
  await calls[Symbol.asyncDispose]();
  t.equal(await codeOf(calls.call({ op: 'late' }, signal())), 'store.unreachable');
  for (const socket of sockets) socket.destroy();
});

t.test('an answer that breaks the rules breaks the connection, not the process', async (t) => {
  const path = join(shortDir(t), 'sock');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write('this is not JSON\n'));
  });
  server.listen(path);
  await once(server, 'listening');
  await using calls = openSocketCalls({ path });
  t.equal(await codeOf(calls.call({ op: 'one' }, signal())), 'store.unreachable');
  server.close();
});
