/**
 * A paired node in a fresh Debian: configuration where the package looks for it, state, slots and
 * boot files as a factory leaves them, storage software and workload that run. Imports the factory
 * and the root.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPair } from '../../scripts/appliance.ts';
import type { Programs } from '../../scripts/build.ts';
import { trustRootOf } from '../../scripts/image/trust-root.ts';
import { makeStorageImage } from '../../scripts/make-image.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import type { Root } from './root.ts';

const PRODUCT = 'packaged';
const RELEASE = { product: PRODUCT, version: '1.0.0', counter: 1 };

/** The boot, which no boot loader tells of here. */
const BOOT = { bootId: 'fresh-root', slot: 'A', reason: 'default', attempt: 0 };

/** Node A of a new pair, all of it below the package's own folders. */
export async function bringNode(root: Root, programs: Programs): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'tandem-factory-'));
  try {
    const system = join(work, 'system.img');
    const storage = join(work, 'storage.img');
    await writeFile(system, Buffer.alloc(64 * 1024, 'system '));
    await makeStorageImage({ ...RELEASE, out: storage, programs, formatLevel: 1, variant: 'good' });
    const trustRoot = join(work, 'root.json');
    await writeFile(trustRoot, JSON.stringify(trustRootOf(generateSigningKey(), 'test')));
    const pair = await createPair(
      {
        dir: work,
        product: PRODUCT,
        hardware: 'rev1',
        policy: {},
        systemImage: {
          file: system,
          release: { ...RELEASE, class: 'system' },
          runsWith: '>=1.0.0',
        },
        storageImage: {
          file: storage,
          release: { ...RELEASE, class: 'storage', formatLevel: 1 },
          runsWith: '>=1.0.0',
        },
        trustRoot,
      },
      AbortSignal.timeout(120_000),
    );
    const { dir, stateDir } = pair.nodes.A;
    const lib = join(root.dir, 'var/lib/tandem');
    await cp(stateDir, lib, { recursive: true });
    for (const part of ['slots', 'boot']) {
      await cp(join(dir, part), join(lib, part), { recursive: true });
    }
    await root.bring(programs.workload, '/opt/workload/records.mjs');
    await root.write('/etc/tandem-release', `${JSON.stringify({ ...RELEASE, class: 'system' })}\n`);
    await root.write('/etc/tandem/tandem.jsonc', CONFIG);
    await root.write('/etc/default/tandem', `TANDEM_BOOT='${JSON.stringify(BOOT)}'\n`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const CONFIG = `// Node A of a pair whose other node is not there.
{
  "node": "A",
  "product": "${PRODUCT}",
  "hardware": "rev1",
  "link": { "listen": "127.0.0.1:7701", "peer": "127.0.0.1:7711" },
  "storage": { "listen": "127.0.0.1:7702", "peer": "127.0.0.1:7712" },
  "service": { "address": "127.0.0.1:8080", "program": "opt/workload/records.mjs" },
  "slots": { "driver": "file", "dir": "/var/lib/tandem/slots" },
  "boot": { "driver": "file", "dir": "/var/lib/tandem/boot" },
}
`;
