/**
 * Pairing with somebody in between or at the door: a man in the middle with keys of his own, a
 * replayed proof, a joiner that dies half-way, strangers on the port. Always holds at the end:
 * nobody has a pin that the code did not vouch for. May import tap, node: and the drivers.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type ConnectionOptions, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { encodeFrame } from '../../src/drivers/frames.ts';
import { createKeys, tlsOptions, type NodeKeys } from '../../src/drivers/keys.ts';
import type { Endpoint } from '../../src/drivers/link-tls.ts';
import { decodeCode } from '../../src/drivers/pair-code.ts';
import { Conversation, FIELD, PAIR_PROTOCOL, Proofs } from '../../src/drivers/pair-protocol.ts';
import { pairInit, pairJoin, type PairInit } from '../../src/drivers/pairing.ts';

const ALPNProtocols = [PAIR_PROTOCOL];

async function waiting(t: Test, tries = 5): Promise<PairInit> {
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const listen = { host: '127.0.0.1', port: 0 };
  const keysDir = join(t.testdirName, 'a');
  return pairInit({ keysDir, node: 'A', listen, signal: stop.signal, tries });
}

const joinAt = (t: Test, address: Endpoint, code: string): Promise<unknown> =>
  pairJoin({ keysDir: join(t.testdirName, 'b'), node: 'B', address, code });

/** A conversation with the node that waits, led by the test. */
async function talkTo(t: Test, init: PairInit, keys: NodeKeys) {
  const socket = connect({ ...tlsOptions(keys), ...init.address, ALPNProtocols });
  socket.on('error', () => undefined);
  t.teardown(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return { socket, talk: new Conversation(socket) };
}

/** A TLS server with the attacker's keys; `handle` gets each connection of a victim. */
async function attackerServer(
  t: Test,
  keys: NodeKeys,
  handle: (victim: TLSSocket) => void,
): Promise<Endpoint> {
  const server = createServer({ ...tlsOptions(keys), ALPNProtocols }, (victim) => {
    victim.on('error', () => undefined);
    t.teardown(() => void victim.destroy());
    handle(victim);
  });
  server.listen(0, '127.0.0.1');
  t.teardown(() => void server.close());
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

const nobodyIsPaired = (t: Test): void => {
  t.notOk(existsSync(join(t.testdirName, 'a/pair.json')), 'the node that waits');
  t.notOk(existsSync(join(t.testdirName, 'b/pair.json')), 'the node that joins');
};

await t.test('a man in the middle who passes every message on gets nothing', async (t) => {
  t.testdir();
  const init = await waiting(t, 1);
  const keys = await createKeys(join(t.testdirName, 'mallory'), 'A');
  let passed = 0;
  const address = await attackerServer(t, keys, (victim) => {
    const far = connect({ ...tlsOptions(keys), ...init.address, ALPNProtocols });
    far.on('error', () => undefined);
    far.on('data', (chunk: Buffer) => victim.write(chunk));
    victim.on('data', (chunk: Buffer) => {
      passed += 1;
      far.write(chunk);
    });
    far.on('end', () => victim.end());
  });
  await t.rejects(joinAt(t, address, init.code), { code: 'pair.code_wrong' });
  await t.rejects(init.done, { code: 'pair.code_wrong' }, 'the proof was for another connection');
  t.ok(passed > 0, 'he did pass the proof on');
  nobodyIsPaired(t);
});

await t.test('a false node that makes up its answer is found out', async (t) => {
  t.testdir();
  const init = await waiting(t);
  const keys = await createKeys(join(t.testdirName, 'mallory'), 'A');
  const answers = [
    { type: 'offer', pair: '0'.repeat(32), proof: '0'.repeat(64) },
    { type: 'offer', pair: '0'.repeat(32) },
    { type: 'offer', pair: ['0'.repeat(32)], proof: { length: 64 } },
    { type: 'done', proof: '0'.repeat(64) },
    { type: 'refused', code: '\u001b[2J not a code' },
  ];
  for (const answer of answers) {
    const address = await attackerServer(t, keys, (victim) => {
      victim.write(encodeFrame({ type: 'hello', node: 'A' }));
      victim.once('data', () => victim.write(encodeFrame(answer)));
    });
    const error: unknown = await joinAt(t, address, init.code).catch((cause: unknown) => cause);
    const { code, message } = error as { code: string; message: string };
    t.ok(['pair.code_wrong', 'pair.bad_message'].includes(code), `${answer.type}: ${code}`);
    t.notOk(message.includes('\u001b'), 'nothing of it is shown');
  }
  nobodyIsPaired(t);
  await joinAt(t, init.address, init.code);
  await init.done;
});

await t.test('a pair that is not confirmed in the end is told so', async (t) => {
  t.testdir();
  const [code, bad] = ['0000-0000-0000-0000-0000-0000-0000', '0'.repeat(64)];
  const keys = await createKeys(join(t.testdirName, 'a'), 'A');
  const own = await createKeys(join(t.testdirName, 'b'), 'B');
  const pair = 'c'.repeat(32);
  const address = await attackerServer(t, keys, (socket) => {
    const init = { node: 'A', spki: keys.spkiSha256 } as const;
    const proofs = new Proofs(socket, decodeCode(code), {
      init,
      join: { node: 'B', spki: own.spkiSha256 },
    });
    socket.write(encodeFrame({ type: 'hello', node: 'A' }));
    const offer = { type: 'offer', pair, proof: proofs.make('offer', pair) };
    const answers = [offer, { type: 'done', proof: bad }];
    socket.on('data', () => socket.write(encodeFrame(answers.shift() ?? {})));
  });
  await t.rejects(joinAt(t, address, code), { code: 'pair.unconfirmed' });
  t.ok(existsSync(join(t.testdirName, 'b/pair.json')), 'stored, so that it can be done again');
});

await t.test('a proof is worth nothing on another connection', async (t) => {
  t.testdir();
  const init = await waiting(t, 2);
  const keys = await createKeys(join(t.testdirName, 'b'), 'B');
  const own = await createKeys(join(t.testdirName, 'a'), 'A');
  const sides = {
    init: { node: 'A', spki: own.spkiSha256 },
    join: { node: 'B', spki: keys.spkiSha256 },
  } as const;
  const first = await talkTo(t, init, keys);
  const proofs = new Proofs(first.socket, decodeCode(init.code), sides);
  first.socket.destroy();
  const second = await talkTo(t, init, keys);
  await second.talk.receive('hello', { node: FIELD.node });
  const fresh = new Proofs(second.socket, decodeCode(init.code), sides);
  t.ok(fresh.holds('join', '', fresh.make('join', '')));
  for (const step of ['offer', 'stored', 'done'] as const) {
    t.notOk(fresh.holds('join', '', fresh.make(step, '')), `that of the step ${step}`);
  }
  t.notOk(fresh.holds('join', '', fresh.make('join', '0'.repeat(32))), 'for another pair');
  second.talk.send({ type: 'join', node: 'B', pair: '', proof: proofs.make('join', '') });
  await t.rejects(second.talk.receive('offer', {}), { code: 'pair.code_wrong' });
  nobodyIsPaired(t);
});

await t.test('a joiner that dies half-way leaves the code alive', async (t) => {
  t.testdir();
  const init = await waiting(t, 1);
  const keys = await createKeys(join(t.testdirName, 'b'), 'B');
  const own = await createKeys(join(t.testdirName, 'a'), 'A');
  for (const lastWords of [null, { type: 'stored', proof: '0'.repeat(64) }]) {
    const { socket, talk } = await talkTo(t, init, keys);
    const proofs = new Proofs(socket, decodeCode(init.code), {
      init: { node: 'A', spki: own.spkiSha256 },
      join: { node: 'B', spki: keys.spkiSha256 },
    });
    await talk.receive('hello', { node: FIELD.node });
    talk.send({ type: 'join', node: 'B', pair: '', proof: proofs.make('join', '') });
    await talk.receive('offer', { pair: FIELD.pair, proof: FIELD.proof });
    if (lastWords) {
      talk.send(lastWords);
      await t.rejects(talk.receive('done', {}), { code: 'pair.peer_unreachable' });
    }
    // The power fails: no farewell.
    socket.destroy();
    nobodyIsPaired(t);
  }
  await new Promise((resolve) => setImmediate(resolve));
  const joined = joinAt(t, init.address, init.code);
  t.same(Object.keys(Object(await joined)).toSorted(), ['node', 'pair', 'peer']);
  t.ok(await init.done);
});

await t.test('strangers cost no try and do not disturb', async (t) => {
  t.testdir();
  const init = await waiting(t, 1);
  const keys = await createKeys(join(t.testdirName, 'mallory'), 'A');
  const words = [
    'GET / HTTP/1.1\r\n\r\n',
    Buffer.alloc(4, 0x7f),
    encodeFrame({ type: 'join', node: 'B', pair: '' }),
    encodeFrame({ type: 'join', node: 'C', pair: '', proof: '0'.repeat(64) }),
    encodeFrame({ type: 'join', node: 'B', pair: 'x'.repeat(5000), proof: '0'.repeat(64) }),
  ];
  const clients: readonly ConnectionOptions[] = [
    { ...tlsOptions(keys), ALPNProtocols },
    { rejectUnauthorized: false, ALPNProtocols },
    { ...tlsOptions(keys) },
    { ...tlsOptions(keys), ALPNProtocols: ['tandem-link/1'] },
    { ...tlsOptions(keys), ALPNProtocols, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
  ];
  for (const options of clients) {
    for (const word of words) {
      const socket = connect(init.address.port, init.address.host, options);
      socket.on('error', () => undefined);
      socket.resume().write(word);
      if (!socket.closed) await new Promise((resolve) => void socket.once('close', resolve));
    }
  }
  const plain = connectTcp(init.address);
  plain.on('error', () => undefined);
  plain.resume().end('GET / HTTP/1.1\r\n\r\n');
  await new Promise((resolve) => void plain.once('close', resolve));

  await joinAt(t, init.address, init.code);
  t.ok(await init.done);
});
