/**
 * The order of cipher suites: what processors say of themselves, and which suite two nodes end up
 * with. May import tap, node: and the drivers under test.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { cipherSuites, suitesFor } from '../../src/drivers/cipher-suites.ts';
import { createKeys, tlsOptions, type NodeKeys } from '../../src/drivers/keys.ts';

const X86 = 'processor\t: 0\nflags\t\t: fpu vme de pse tsc ssse3 aes xsave\nbugs\t\t: spectre\n';
const X86_LAST = 'flags\t\t: fpu ssse3 aes\n';
const ARM = 'processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1\n';
const NEITHER = [
  '',
  'flags\t\t: fpu vme de pse tsc ssse3 vaes xsave\n',
  'Features\t: half thumb fastmult vfp edsp\n',
  'model name\t: an aes machine\nflags\t\t: fpu\n',
];

const first = (info: string): string | undefined => suitesFor(info).split(':')[0];
const sorted = (info: string): string[] => suitesFor(info).split(':').toSorted();

t.test('what is quick on a processor comes first, and nothing is left out', async (t) => {
  for (const info of [X86, X86_LAST, ARM]) t.equal(first(info), 'TLS_AES_128_GCM_SHA256');
  for (const info of NEITHER) t.equal(first(info), 'TLS_CHACHA20_POLY1305_SHA256');
  t.strictSame(sorted(X86), sorted(''));
  t.equal(sorted('').length, 3);
  t.ok([suitesFor(X86), suitesFor('')].includes(cipherSuites()));
});

/** The suite of a connection between two nodes. */
async function agreed(t: Test, keys: NodeKeys, server: string, client: string): Promise<string> {
  const listening = createServer({ ...tlsOptions(keys), ciphers: server });
  t.teardown(() => void listening.close());
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const socket = connect({ ...tlsOptions(keys), ciphers: client, host: '127.0.0.1', port });
  t.teardown(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket.getCipher().standardName;
}

t.test('two nodes agree, whatever their processors', async (t) => {
  const keys = await createKeys(t.testdir(), 'A');
  const [aes, none] = [suitesFor(X86), suitesFor('')];
  t.equal(await agreed(t, keys, aes, aes), 'TLS_AES_128_GCM_SHA256');
  t.equal(await agreed(t, keys, none, none), 'TLS_CHACHA20_POLY1305_SHA256');
  t.match(await agreed(t, keys, aes, none), /^TLS_(AES_128_GCM|CHACHA20)_/);
  // A node of a version that left the order to OpenSSL.
  const before = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
  t.match(await agreed(t, keys, before, none), /^TLS_/);
  t.match(await agreed(t, keys, aes, before), /^TLS_/);
});
