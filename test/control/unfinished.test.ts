/**
 * Requests that do not come to their end, and bytes that are none: who was slow gets no answer, as
 * from a daemon that is gone, so that whoever waits asks again; who talks nonsense is told so.
 * Imports the door.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { ControlBackend } from '../../src/control/backend.ts';
import { CONTROL_GATE } from '../../src/control/gate.ts';
import { Door, HTTP_OPTIONS } from '../../src/control/server.ts';
import { shortDir } from '../drivers/short-dir.ts';

const SHORT = { headersTimeout: 50, requestTimeout: 50, connectionsCheckingInterval: 10 };

/** Everything that a door answers to these bytes until it hangs up. */
async function answerTo(path: string, bytes: string): Promise<string> {
  const socket = connect(path);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

t.test('requests that are not finished, and no requests', async (t) => {
  const path = join(shortDir(t), 's');
  const server = createServer({ ...HTTP_OPTIONS, ...SHORT });
  await using _door = new Door({} as ControlBackend, server, CONTROL_GATE, {});
  server.listen(path);
  await once(server, 'listening');
  t.equal(await answerTo(path, 'GET /v1/status HTTP/1.1\r\nhost: x\r\n'), '', 'half a head');
  const half = 'POST /v1/jobs HTTP/1.1\r\nhost: x\r\n';
  t.equal(await answerTo(path, `${half}content-le`), '', 'half a line');
  const nonsense = await answerTo(path, 'nonsense\r\n\r\n');
  t.match(nonsense, /^HTTP\/1\.1 400 Bad Request/);
  t.match(nonsense, /usage\.invalid.*HPE_INVALID/);
});
