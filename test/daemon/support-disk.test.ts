/**
 * What a support archive takes of partitions, on files in their place: seals, both copies of the
 * boot state, the try counter, and which sources there are for which machine.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { grubBoot, grubState, partitionSeals } from '../../src/daemon/support-disk.ts';
import { fileSources } from '../../src/daemon/support-files.ts';
import { supportRequest } from '../../src/daemon/support.ts';
import { openGrubBoot } from '../../src/drivers/boot-grub.ts';
import { findSlotDevices, openBlockSlots } from '../../src/drivers/slots-block.ts';
import { sealOf } from '../contracts/slots.ts';
import { addDisk, SLOT_PARTITIONS, treeRoots } from '../drivers/device-tree.ts';

t.test('seals, boot state and counter', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda', [['tandem-state', 1024 * 1024], ...SLOT_PARTITIONS]);
  const roots = treeRoots(dir);
  const counter = join(dir, 'tries.env');
  const partitions = { disk: null, counter };
  t.same(await grubBoot({ disk: null, counter: null }, roots), {
    copies: [null, null],
    counter: null,
  });
  {
    const paths = { state: join(dir, 'dev/vda4'), counter };
    await using chooser = await openGrubBoot(paths);
    await chooser.recreate({ slot: 'A', trialId: 3 });
    await chooser.arm({ id: 4, slot: 'B', tries: 2 });
  }
  const slots = await openBlockSlots(await findSlotDevices(null, roots), { booted: 'A', roots });
  await slots.seal('storage', 'B', sealOf('1.0.0'));
  t.match(await grubBoot(partitions, roots), {
    copies: [
      { trial: null, trialId: 3 },
      { trial: 'B', trialId: 4 },
    ],
    counter: { trialId: 0, used: 0 },
  });
  t.equal((await grubState(null, roots)).length, 8192);
  const seals = (await partitionSeals(partitions, roots)) as readonly { seal: unknown }[];
  t.same(
    seals.map((one) => one.seal),
    [null, null, null, sealOf('1.0.0')],
  );
  await writeFile(counter, 'torn');
  t.match(await grubBoot(partitions, roots), { counter: null });
});

t.test('each machine has the sources of its drivers', async (t) => {
  const given = async (sections: object) => {
    const text = JSON.stringify({
      node: 'A',
      product: 'appliance',
      hardware: 'rev1',
      link: { listen: '10.9.0.1:1', peer: '10.9.0.2:1' },
      storage: { listen: '10.9.0.1:2', peer: '10.9.0.2:2' },
      service: { address: '10.9.1.1:80', program: 'x.js' },
      ...sections,
    });
    const { places } = supportRequest('x', await parseConfig(text, '/t'), '1.0.0', [], []);
    const paths = fileSources(places, 1000).map((one) => one.path);
    t.equal(new Set(paths).size, paths.length);
    return paths.filter((path) => /^boot|^slots|^files.(?:boot|slots)/.test(path)).toSorted();
  };
  const same = ['boot/boot.json', 'boot/counter', 'boot/state'];
  const files = ['files/boot.json', 'files/slots.json'];
  t.same(await given({}), [...same, ...files, 'slots/seals.json']);
  const slots = { driver: 'partition', disk: '/dev/vda' };
  t.same(await given({ slots }), [...same, 'files/boot.json', 'slots/seals.json']);
  const grub = { slots, boot: { driver: 'grub' }, host: { driver: 'machine' } };
  t.same(await given(grub), [...same, 'slots/seals.json']);
});
