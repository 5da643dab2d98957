/**
 * The replication channel and a peer that says nothing: how long it is waited for. Counts beats,
 * not time. Imports the link and keys.
 */
import { once } from 'node:events';
import { connect } from 'node:tls';
import t from 'tap';
import { ReplicationLink } from '../../images/storage/link.ts';
import { freePort } from '../../scripts/demo/ports.ts';
import { frameReader } from '../../images/storage/wire.ts';
import { tlsOptions } from '../../src/drivers/keys.ts';
import { makeLinkKeys } from '../drivers/link-keys.ts';

/** Beats that a peer with the right key gets before it is given up for saying nothing. */
async function beatsTo(dir: string, silentMs: number): Promise<number> {
  const keys = await makeLinkKeys(dir);
  const port = await freePort();
  const at = `127.0.0.1:${String(port)}`;
  await using link = new ReplicationLink({
    node: 'B',
    listen: at,
    peer: at,
    keys: keys.b,
    silentMs,
    onConnection: () => ({ frame: () => undefined, closed: () => undefined }),
  });
  await link.start();
  const options = { ...tlsOptions(keys.a), ALPNProtocols: ['tandem-store'] };
  const socket = connect({ ...options, host: '127.0.0.1', port });
  let beats = 0;
  const read = frameReader(({ head }) => {
    if (head.t === 'ping') beats += 1;
  });
  socket.on('data', (chunk: Buffer) => read(chunk));
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return beats;
}

t.test('a peer that says nothing is given up after the silence that was set', async (t) => {
  t.equal(await beatsTo(t.testdir(), 400), 2);
  t.equal(await beatsTo(t.testdir(), 1000), 5);
});
