/**
 * The cables between the two nodes of a pair on one machine: TCP proxies on the network channel of
 * the link and on the replication of the store, which can be pulled and which count what passes.
 * Always holds: a pulled cable is silent, nothing is closed; when it is plugged in again, what was
 * open is broken and new connections pass. Imports node and the appliance's paths.
 */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { AppliancePair } from '../appliance.ts';

/** One cable. */
export interface Wire extends AsyncDisposable {
  readonly port: number;
  /** Bytes that passed in both directions. */
  readonly bytes: number;
  /** Nothing passes any more, and nothing is said of it. */
  pull(): void;
  plug(): void;
}

/** Opens a cable to a port of this machine. */
async function openWire(target: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  let bytes = 0;
  let pulled = false;
  const add = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket.setNoDelay(true);
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk: Buffer) => {
      if (pulled) return;
      bytes += chunk.length;
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('close', () => {
      if (!pulled) to.destroy();
    });
  };
  const server: Server = createServer((near) => {
    add(near);
    if (pulled) return;
    const far = add(connect(target, '127.0.0.1'));
    pass(near, far);
    pass(far, near);
  });
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get bytes() {
      return bytes;
    },
    pull() {
      pulled = true;
    },
    plug() {
      drop();
      pulled = false;
    },
    async [Symbol.asyncDispose]() {
      pulled = true;
      drop();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Both cables of a pair. */
export interface PairWires extends AsyncDisposable {
  readonly link: Wire;
  readonly storage: Wire;
  pull(): void;
  plug(): void;
}

/** The configuration, with another port of the peer in this section. */
function dialling(text: string, section: string, port: number): string {
  const peer = new RegExp(`("${section}": \\{[^}]*"peer": "127\\.0\\.0\\.1:)\\d+`);
  return text.replace(peer, `$1${String(port)}`);
}

/**
 * Lays cables between the nodes of a pair that does not run yet. Node A dials, on the link as well
 * as for the storage, so only its configuration is changed.
 */
export async function layWires(pair: AppliancePair): Promise<PairWires> {
  const file = pair.nodes.A.config;
  const text = await readFile(file, 'utf8');
  const wires = new Map<string, Wire>();
  for (const section of ['link', 'storage']) {
    const found = new RegExp(`"${section}": \\{[^}]*"peer": "127\\.0\\.0\\.1:(\\d+)"`).exec(text);
    if (found === null) throw new Error(`${file} names no peer in ${section}`);
    wires.set(section, await openWire(Number(found[1])));
  }
  const [link, storage] = [wires.get('link')!, wires.get('storage')!];
  const linked = dialling(text, 'link', link.port);
  await writeFile(file, dialling(linked, 'storage', storage.port));
  return {
    link,
    storage,
    pull() {
      link.pull();
      storage.pull();
    },
    plug() {
      link.plug();
      storage.plug();
    },
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}
