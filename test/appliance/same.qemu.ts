/**
 * The same sources and packages give the same bytes: the whole system image and a data partition,
 * made twice, the second time under another umask. It takes a minute, so that `npm run
 * test:appliance` runs it and not `npm test`. Imports tap and the workshop.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeDataImage } from '../../scripts/appliance/data.ts';
import { MIB } from '../../scripts/appliance/layout.ts';
import { programsFor, systemImage } from './workshop.ts';
import { shortDir } from '../drivers/short-dir.ts';

t.setTimeout(0);
const dir = shortDir(t);
const programs = await programsFor();

/** Makes both below a folder; returns what they are. */
async function made(t: Test, name: string): Promise<readonly string[]> {
  const at = join(dir, name);
  await mkdir(at);
  const { sha256, sizeBytes } = await systemImage(at, 'good', programs);
  const out = join(at, 'data.img');
  await makeDataImage({
    out,
    sizeBytes: 16 * MIB,
    hostname: 'node-a',
    addresses: { eth0: '10.9.0.1/24' },
    config: '{}\n',
    files: [{ path: '/tandem/keys/node', mode: 0o600, text: 'a key\n' }],
  });
  const data = createHash('sha256')
    .update(await readFile(out))
    .digest('hex');
  const record = await readFile(join(at, 'good.img.json'), 'utf8');
  t.equal((await stat(join(at, 'good.img'))).size, sizeBytes);
  t.match(record, /"name": "linux-image-/, 'the record names the kernel');
  return [sha256, data, record];
}

t.test('an image is made twice', async (t) => {
  const first = await made(t, 'first');
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  t.strictSame(await made(t, 'second'), first);
});
