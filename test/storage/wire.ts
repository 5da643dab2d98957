/**
 * The wire between two storage processes: a TCP proxy on loopback that a test can cut, at once or
 * after so many bytes, or hold for a while. Imports node.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A wire to one port; node A dials it. */
export interface Wire extends AsyncDisposable {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** Breaks what is connected, and refuses what comes. */
  cut(): void;
  /** Cuts once so many bytes have gone from the dialling side to the other. */
  cutAfter(bytes: number): void;
  /** Holds what follows so many bytes on this way, and loses none of it. */
  holdAfter(bytes: number): void;
  /** Ends a cut, and lets what is held pass. */
  heal(): void;
  /** Bytes that went over it, both ways, since the last call. */
  taken(): number;
}

/** A wire to this port of 127.0.0.1. */
export async function openWire(toPort: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  let up = true;
  let leftBytes = Infinity;
  let heldAfterBytes = Infinity;
  let wentBytes = 0;
  const held: Socket[] = [];
  const add = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const cut = (): void => {
    up = false;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    add(near);
    if (!up) {
      near.destroy();
      return;
    }
    const far = add(connect(toPort, '127.0.0.1'));
    near.on('data', (chunk) => {
      leftBytes -= chunk.length;
      heldAfterBytes -= chunk.length;
      wentBytes += chunk.length;
      if (leftBytes < 0) cut();
      else far.write(chunk);
      if (heldAfterBytes < 0) held.push(near.pause());
    });
    far.on('data', (chunk) => {
      wentBytes += chunk.length;
      near.write(chunk);
    });
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    cutAfter(bytes) {
      leftBytes = bytes;
    },
    holdAfter(bytes) {
      heldAfterBytes = bytes;
    },
    heal() {
      leftBytes = Infinity;
      heldAfterBytes = Infinity;
      up = true;
      for (const socket of held.splice(0)) socket.resume();
    },
    taken() {
      const bytes = wentBytes;
      wentBytes = 0;
      return bytes;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
