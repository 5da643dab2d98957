/**
 * A wire with a switch: a TCP proxy on loopback that a test can cut (connections break at once) or
 * freeze (they stay open and nothing passes, as when a cable is pulled). Imports node.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy extends AsyncDisposable {
  readonly endpoint: { readonly host: string; readonly port: number };
  /** Connections that were made so far. */
  accepted(): number;
  cut(): void;
  /** What is open stays open, silently; what comes new does too. */
  freeze(): void;
  /** Everything frozen is dropped, new connections pass again. */
  heal(): void;
}

/** A proxy to `target()`, which is asked at each connection. */
export async function tcpProxy(target: () => { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let mode: 'pass' | 'cut' | 'freeze' = 'pass';
  let accepted = 0;
  const add = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (mode === 'pass' && to.writable) to.write(chunk);
    });
    from.on('close', () => {
      if (mode !== 'freeze') to.destroy();
    });
  };
  const server = createServer((near) => {
    accepted += 1;
    add(near);
    if (mode === 'cut') near.destroy();
    if (mode !== 'pass') return;
    const far = add(connect(target()));
    pass(near, far);
    pass(far, near);
  });
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    accepted: () => accepted,
    cut() {
      mode = 'cut';
      drop();
    },
    freeze() {
      mode = 'freeze';
    },
    heal() {
      drop();
      mode = 'pass';
    },
    async [Symbol.asyncDispose]() {
      mode = 'cut';
      drop();
      server.close();
      await once(server, 'close');
    },
  };
}
