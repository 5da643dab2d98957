/**
 * Free loopback ports. Always holds: the ports that one call returns differ, because all
 * of them are held at the same time before they are let go. Imports Node only.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';

/** A port of 127.0.0.1 on which nobody listened a moment ago. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** `count` ports of 127.0.0.1 on which nobody listened a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (let at = 0; at < count; at += 1) {
      const server = createServer();
      servers.push(server);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map(async (server) => once(server.close(), 'close')));
  }
}
