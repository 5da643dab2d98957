/**
 * The sections that choose the drivers of a node: the defaults of a process, a real machine, and
 * every contradiction with its setting.
 */
import t from 'tap';
import { parseConfig } from '../src/config.ts';
import { UpdateError } from '../src/core/errors.ts';

const FILE = '/etc/tandem/tandem.jsonc';

/** A configuration with these sections beside what every node needs. */
function textOf(sections: object, service: object = {}, listen = '10.9.0.1'): string {
  return JSON.stringify({
    node: 'A',
    product: 'appliance',
    hardware: 'rev1',
    stateDir: '/data/tandem',
    link: { listen: `${listen}:7701`, peer: '10.9.0.2:7701' },
    storage: { listen: `${listen}:7702`, peer: '10.9.0.2:7702' },
    service: { address: '10.9.1.50:8080', program: 'opt/service.js', ...service },
    ...sections,
  });
}

t.test('without these settings a node is a process on files', async (t) => {
  const { slots, boot, host, service } = await parseConfig(textOf({}), FILE);
  t.same(slots, { driver: 'file', dir: '/data/tandem/slots', disk: null });
  t.same(boot, { driver: 'file', dir: '/data/tandem/boot', counter: '/run/tandem-boot/tries.env' });
  t.same(host, { driver: 'process', watchdog: null });
  t.same([service.interface, service.prefix], [null, null]);
});

t.test('a real machine', async (t) => {
  const sections = {
    slots: { driver: 'partition', disk: '/dev/vda' },
    boot: { driver: 'grub', counter: '/boot/grub/tries.env' },
    host: { driver: 'machine', watchdog: '/dev/watchdog' },
  };
  const config = await parseConfig(textOf(sections, { interface: 'eth0.7', prefix: 24 }), FILE);
  t.match(config.slots, sections.slots);
  t.match(config.boot, sections.boot);
  t.same(config.host, sections.host);
  t.match(config.service, { address: '10.9.1.50:8080', interface: 'eth0.7', prefix: 24 });
  const small = { slots: { driver: 'partition' }, host: { driver: 'machine' } };
  const { slots, host } = await parseConfig(textOf(small), FILE);
  t.equal(slots.disk, null, 'whichever disk has the labels');
  t.equal(host.watchdog, null);
  const ipv6 = { address: '[fd77::50]:8080', interface: 'eth0', prefix: 64 };
  t.equal((await parseConfig(textOf({}, ipv6), FILE)).service.prefix, 64);
});

type Fault = readonly [setting: string, words: RegExp, sections: object, service?: object];

const partition = { driver: 'partition' };
const machine = { driver: 'machine' };
const FAULTS: readonly Fault[] = [
  ['slots.driver', /"file" or "partition"/, { slots: { driver: 'block' } }],
  ['slots.disk', /without slots.driver partition/, { slots: { disk: '/dev/vda' } }],
  ['slots.dir', /without slots.driver file/, { slots: { ...partition, dir: '/slots' } }],
  ['boot.counter', /without boot.driver grub/, { boot: { counter: '/x' } }],
  [
    'boot.dir',
    /without boot.driver file/,
    { slots: partition, host: machine, boot: { driver: 'grub', dir: '/x' } },
  ],
  ['boot.driver', /host.driver machine/, { slots: partition, boot: { driver: 'grub' } }],
  ['boot.driver', /slots.driver partition/, { host: machine, boot: { driver: 'grub' } }],
  ['host.watchdog', /without host.driver machine/, { host: { watchdog: '/dev/watchdog' } }],
  ['service.prefix', /without an interface/, {}, { prefix: 24 }],
  ['service.prefix', /at most 32/, {}, { interface: 'eth0', prefix: 64 }],
  ['service.prefix', /from 1 to 128/, {}, { interface: 'eth0', prefix: 0 }],
  ['service.interface', /name of a network interface/, {}, { interface: '../eth0' }],
  ['service.interface', /name of a network interface/, {}, { interface: '-eth0' }],
  ['service.interface', /name of a network interface/, {}, { interface: 'interface-name16' }],
  ['service.address', /one IP address/, {}, { interface: 'eth0', address: 'node:80' }],
  ['service.address', /one IP address/, {}, { interface: 'eth0', address: '0.0.0.0:80' }],
  ['service.address', /one IP address/, {}, { interface: 'eth0', address: '[::]:80' }],
  ['service.address', /goes to the other node/, {}, { interface: 'eth0', address: '10.9.0.1:80' }],
  ['service.address', /goes to the other node/, {}, { interface: 'eth0', address: '10.9.0.2:80' }],
];

t.test('what contradicts itself is refused, with the setting and what is accepted', async (t) => {
  for (const [setting, words, sections, service] of FAULTS) {
    const error: unknown = await parseConfig(textOf(sections, service), FILE).catch(
      (thrown: unknown) => thrown,
    );
    t.type(error, UpdateError, setting);
    t.match(error, { code: 'config.invalid', detail: { setting } }, setting);
    t.match((error as UpdateError).message, words);
  }
});
