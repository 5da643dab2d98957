/**
 * The section `remote` of the configuration: off by default, complete where it is on, and refused
 * where it contradicts itself.
 */
import t from 'tap';
import { parseConfig } from '../src/config.ts';

const BASE = `
  "node": "A", "product": "p", "hardware": "h",
  "link": { "listen": "127.0.0.1:1", "peer": "127.0.0.1:2" },
  "storage": { "listen": "127.0.0.1:3", "peer": "127.0.0.1:4" },
  "service": { "address": "127.0.0.1:5", "program": "x" }`;
const withRemote = (remote: object) =>
  parseConfig(`{${BASE}, "remote": ${JSON.stringify(remote)}}`, '/etc/tandem/tandem.jsonc');

const FILES = { certificate: 'node.crt', key: '/keys/node.key', ca: 'ca.crt' };

t.test('off by default, also with roles alone', async (t) => {
  t.equal((await parseConfig(`{${BASE}}`, '/etc/x.jsonc')).remote, null);
  t.equal((await withRemote({ role: 'operator' })).remote, null);
});

t.test('complete where it is on', async (t) => {
  const { remote } = await withRemote({ listen: '[::1]:7710', ...FILES });
  t.strictSame(remote, {
    listen: '[::1]:7710',
    certificate: '/etc/tandem/node.crt',
    key: '/keys/node.key',
    ca: '/etc/tandem/ca.crt',
    crl: null,
    role: 'viewer',
    operators: [],
    administrators: [],
  });
  const crl = await withRemote({ listen: '127.0.0.1:9', ...FILES, crl: 'crl', role: 'none' });
  t.match(crl.remote, { crl: '/etc/tandem/crl', role: 'none' });
});

t.test('what does not go together is refused', async (t) => {
  for (const [remote, words] of [
    [{ listen: '127.0.0.1:9' }, /remote\.certificate is missing; accepted: a path/],
    [{ listen: '127.0.0.1:1', ...FILES }, /another address than link\.listen/],
    [{ listen: '127.0.0.1:0', ...FILES }, /remote\.listen.*port from 1 to 65535/],
    [
      { listen: '127.0.0.1:9', ...FILES, operators: ['a'], administrators: ['a'] },
      /a name that is not in remote\.administrators/,
    ],
    [{ listen: '127.0.0.1:9', ...FILES, operators: ['a b'] }, /remote\.operators/],
    [{ role: 'root' }, /remote\.role is "root"/],
  ] as const) {
    await t.rejects(withRemote(remote), { code: 'config.invalid', message: words });
  }
});
