/**
 * The control socket of a supervisor: one JSON object a line in, one out. Always holds: commands
 * that switch the power run one after the other; a socket file that nobody listens on is taken
 * over, one that somebody listens on is not. Imports core and its own parts.
 */
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { UpdateError } from '../../src/core/errors.ts';
import { LINE_BYTES_MAX, POWER_VERBS, type PowerReply, type PowerRequest } from './power-client.ts';

/** Answers one command; `isGone` is true once its asker has closed the connection. */
export type PowerHandler = (request: PowerRequest, isGone: () => boolean) => Promise<PowerReply>;

async function isTaken(path: string): Promise<boolean> {
  return new Promise((done) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      done(true);
    });
    probe.once('error', () => done(false));
  });
}

/** Null for anything that is not a command, however slightly: a fence is no place for guesses. */
function requestOf(line: string): PowerRequest | null {
  try {
    const { do: word, node, epoch, after } = JSON.parse(line) as Record<string, unknown>;
    const verb = POWER_VERBS.find((one) => one === word);
    if (verb === undefined) return null;
    if (node !== undefined && node !== 'A' && node !== 'B') return null;
    if (epoch !== undefined && !Number.isSafeInteger(epoch)) return null;
    if (after !== undefined && after !== 'on' && after !== 'stay-off') return null;
    return {
      do: verb,
      ...(node === undefined ? {} : { node }),
      ...(epoch === undefined ? {} : { epoch: Number(epoch) }),
      ...(after === undefined ? {} : { after }),
    };
  } catch {
    return null;
  }
}

function serve(socket: Socket, handle: PowerHandler): void {
  let text = '';
  const send = (reply: PowerReply): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  };
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (part: string) => {
    text += part;
    if (text.length > LINE_BYTES_MAX) socket.destroy();
    for (let stop = text.indexOf('\n'); stop >= 0; stop = text.indexOf('\n')) {
      const request = requestOf(text.slice(0, stop));
      text = text.slice(stop + 1);
      if (request === null) {
        send({ ok: false, error: `expected {"do": one of ${POWER_VERBS.join(', ')}}` });
        continue;
      }
      handle(request, () => socket.destroyed).then(send, (error: unknown) => {
        send({ ok: false, error: error instanceof Error ? error.message : String(error) });
      });
    }
  });
}

/** Listens for the owner of the appliance alone; throws `state.locked` when another one does. */
export async function servePower(path: string, handle: PowerHandler): Promise<AsyncDisposable> {
  if (await isTaken(path)) {
    throw new UpdateError('state.locked', `another supervisor listens on ${path}`);
  }
  await rm(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    serve(socket, handle);
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(path, done);
  });
  await chmod(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done));
      for (const socket of open) socket.destroySoon();
      await closed;
    },
  };
}
