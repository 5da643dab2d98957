/**
 * The service address on an interface: the contract of the port and what neighbours see, in network
 * namespaces where there are any; leftovers and failures on a program in place of `ip`. May import
 * tap, node: and the drivers under test.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { neighboursOf } from '../../src/drivers/announce-address.ts';
import { InterfaceAddress } from '../../src/drivers/interface-address.ts';
import { openArpService, type ArpServiceOptions } from '../../src/drivers/service-arp.ts';
import type { ServiceAddress } from '../../src/ports.ts';
import { serviceAddressContract } from '../contracts/service-address.ts';
import { MemoryServiceNetwork } from '../memory/service-address.ts';
import { fakeIp, makeNetwork, namespaceReason, type Program } from './two-namespaces.ts';

const ADDRESS = '10.77.0.50';
const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const NO_ARPING: Program = ['/nowhere/arping'];

type Made = Record<NodeId, ServiceAddress>;

/** Both nodes, with a workload in memory and `ip` as given. */
async function makePair(t: Test, ip: Readonly<Record<NodeId, Program>>, address = ADDRESS) {
  const workloads = new MemoryServiceNetwork();
  const made: Partial<Made> = {};
  const lines: string[] = [];
  for (const node of NODES) {
    made[node] = await openArpService({
      workload: workloads.address(node),
      address,
      prefixLength: null,
      interface: 'svc0',
      log: (line) => void lines.push(line),
      ip: ip[node],
      arping: ['true'],
      ipv6Conf: '/nowhere',
    });
  }
  const of = made as Made;
  t.teardown(async () => {
    for (const node of NODES) await of[node][Symbol.asyncDispose]();
  });
  return { of, workloads, lines };
}

/** The one node whose workload serves and whose interface has the address. */
function serverOf(
  { workloads }: { readonly workloads: MemoryServiceNetwork },
  has: Readonly<Record<NodeId, boolean>>,
): NodeId | null {
  const [first, second] = NODES.filter((node) => has[node]);
  if (second !== undefined) throw new Error('both interfaces have the address');
  if (first !== (workloads.server() ?? undefined)) throw new Error('address and workload differ');
  return first ?? null;
}

await serviceAddressContract(t, 'on a program in place of ip', async (t) => {
  const dir = t.testdir();
  const ip = { A: await fakeIp(dir, 'A'), B: await fakeIp(dir, 'B') };
  const pair = await makePair(t, ip);
  const has = async (node: NodeId): Promise<boolean> =>
    (await readFile(join(dir, node), 'utf8')).includes(`svc0 ${ADDRESS}/32`);
  return {
    address: (node) => pair.of[node],
    whoServes: async () => serverOf(pair, { A: await has('A'), B: await has('B') }),
    breakSelfTest: (node) => Promise.resolve(void pair.workloads.failing.set(node, 'broken')),
  };
});

const none = await namespaceReason();
if (none !== null) t.comment(`without network namespaces: ${none}`);

await t.test('network namespaces', { skip: none ?? false }, async (t) => {
  await using network = await makeNetwork();
  const ip = { A: network.on('A', ['ip']), B: network.on('B', ['ip']) };
  const shown = async (node: NodeId, address: string): Promise<boolean> =>
    (await network.do(node, 'ip', '-o', 'addr', 'show', 'to', address)).includes(address);
  await serviceAddressContract(t, 'in network namespaces', async (t) => {
    const pair = await makePair(t, ip);
    return {
      address: (node) => pair.of[node],
      whoServes: async () => {
        return serverOf(pair, { A: await shown('A', ADDRESS), B: await shown('B', ADDRESS) });
      },
      breakSelfTest: (node) => Promise.resolve(void pair.workloads.failing.set(node, 'broken')),
    };
  });

  /** Waits until the client has this hardware address for it. */
  const learns = async (address: string, mac: string): Promise<void> => {
    for (;;) {
      const shown = await network.do('client', 'ip', 'neigh', 'show', address);
      if (shown.includes(`lladdr ${mac}`)) return;
      await sleep(20);
    }
  };

  const know = (address: string, mac: string): Promise<string> => {
    const entry = ['lladdr', mac, 'nud', 'stale', 'dev', 'br0'];
    return network.do('client', 'ip', 'neigh', 'replace', address, ...entry);
  };

  await t.test('a neighbour learns of a move: IPv4 by traffic, without arping', async (t) => {
    await know(ADDRESS, await network.mac('B'));
    await network.do('A', 'ip', 'addr', 'add', `${ADDRESS}/32`, 'dev', 'svc0');
    const module = join(import.meta.dirname, '../../src/drivers/announce-address.ts');
    const program = `
      const { announceAddress } = await import(${JSON.stringify(module)});
      const options = {
        address: '${ADDRESS}',
        interface: 'svc0',
        arping: ['/nowhere/arping'],
        networks: async () => ['10.77.0.50/32', '10.77.0.1/24'],
      };
      process.stdout.write(String(await announceAddress(options, new AbortController().signal)));
    `;
    const args = ['--input-type=module', '--eval', program] as const;
    t.equal(await network.do('A', process.execPath, ...args), 'null');
    await learns(ADDRESS, await network.mac('A'));
    await network.do('A', 'ip', 'addr', 'del', `${ADDRESS}/32`, 'dev', 'svc0');
  });

  await t.test('a neighbour learns of a move: IPv6 by the kernel', async (t) => {
    const name = 'fd77::50';
    const { of } = await makePair(t, ip, name);
    for (const node of NODES) {
      const conf = '/proc/sys/net/ipv6/conf/svc0';
      const set = `echo 0 >${conf}/accept_dad; echo 1 >${conf}/ndisc_notify`;
      await network.do(node, 'sh', '-c', set);
    }
    await know(name, await network.mac('B'));
    await of.A.acquire(1, signal());
    await learns(name, await network.mac('A'));
    t.same([await shown('A', name), of.A.held()], [true, true]);
    await of.A.release();
    t.same([await shown('A', name), of.A.held()], [false, false]);
    await of.B.acquire(2, signal());
    await learns(name, await network.mac('B'));
  });
});

/** One node on the fake program. */
async function makeOne(t: Test, more: Partial<ArpServiceOptions> = {}) {
  const dir = t.testdir();
  const ip = await fakeIp(dir, 'A');
  const file = join(dir, 'A');
  const workloads = new MemoryServiceNetwork();
  const workload = workloads.address('A');
  const lines: string[] = [];
  const options: ArpServiceOptions = {
    workload,
    address: ADDRESS,
    prefixLength: 24,
    interface: 'svc0',
    log: (line) => void lines.push(line),
    ip,
    arping: ['true'],
    ...more,
  };
  const addresses = () => readFile(file, 'utf8');
  const open = () => openArpService(options);
  return { dir, file, workload, workloads, lines, addresses, open };
}

t.test('what an earlier run left goes first, with whatever prefix length', async (t) => {
  const { file, addresses, lines, open } = await makeOne(t);
  await writeFile(file, `eth1 ${ADDRESS}/24\nsvc0 ${ADDRESS}/16\nsvc0 10.77.0.5/24\n`);
  const service = await open();
  t.equal(await addresses(), `eth1 ${ADDRESS}/24\nsvc0 10.77.0.5/24\n`);
  t.match(lines, [/^svc0 has the service address 10.77.0.50 of an earlier run/]);
  t.equal(service.held(), false);
  await service.acquire(1, signal());
  t.match(await addresses(), `svc0 ${ADDRESS}/24\n`);
  await service.release();
  t.equal(await addresses(), `eth1 ${ADDRESS}/24\nsvc0 10.77.0.5/24\n`);
});

t.test('an address that does not come is an error, and the workload is not asked', async (t) => {
  const { file, workload, open } = await makeOne(t);
  const service = await open();
  await writeFile(`${file}.full`, '');
  const error = { code: 'service.failed', message: /put on svc0: RTNETLINK .* No buffer space/ };
  await t.rejects(service.acquire(1, signal()), error);
  t.same([service.held(), workload.held()], [false, false]);
  await rm(`${file}.full`);
  await service.acquire(1, signal());
  t.equal(service.held(), true);
});

t.test('an address that does not go is an error, but nothing is served on it', async (t) => {
  const { file, workload, addresses, lines, open } = await makeOne(t);
  const service = await open();
  await service.acquire(1, signal());
  await writeFile(`${file}.stuck`, '');
  const error = { code: 'service.failed', message: /taken from svc0: .*not permitted/ };
  await t.rejects(service.release(), error);
  t.same([service.held(), workload.held()], [false, false]);
  await service[Symbol.asyncDispose]();
  t.match(lines.at(-1), /taken from svc0/, 'at the end it is for the log');
  await rm(`${file}.stuck`);
  await service.release();
  t.equal(await addresses(), '');
});

t.test(
  'an address that cannot be served does not stay, one that got lost comes back',
  async (t) => {
    const { file, workload, addresses, lines, open } = await makeOne(t);
    const service = await open();
    const acquire = workload.acquire.bind(workload);
    workload.acquire = () => Promise.reject(new Error('no such luck'));
    await t.rejects(service.acquire(1, signal()), { message: 'no such luck' });
    t.equal(await addresses(), '');
    workload.acquire = acquire;
    await service.acquire(1, signal());
    await writeFile(file, '');
    await service.acquire(1, signal());
    t.equal(await addresses(), `svc0 ${ADDRESS}/24\n`);
    t.match(lines, [/^svc0 has lost the service address/]);
    const log = await readFile(`${file}.log`, 'utf8');
    await service.acquire(1, signal());
    const asked = (await readFile(`${file}.log`, 'utf8')).slice(log.length);
    t.equal(asked, `addr show to ${ADDRESS}\n`, 'one look is enough while it is there');
  },
);

t.test('clients wait for no more programs than it takes', async (t) => {
  const { file, open } = await makeOne(t);
  const service = await open();
  const asked = async (work: Promise<void>): Promise<string[]> => {
    await writeFile(`${file}.log`, '');
    await work;
    return (await readFile(`${file}.log`, 'utf8')).split('\n').slice(0, -1);
  };
  const whole = `${ADDRESS}/24 dev svc0`;
  t.same(await asked(service.acquire(1, signal())), [`addr add ${whole}`]);
  t.same(await asked(service.release()), [`addr del ${whole}`, `addr show to ${ADDRESS}`]);
  t.same(await asked(service.release()), [`addr show to ${ADDRESS}`]);
});

t.test('no second program where the kernel shows that the address is gone', async (t) => {
  const dir = t.testdir();
  const ip = await fakeIp(dir, 'A');
  const log = join(dir, 'A.log');
  let seen: Record<string, { address: string }[]> = {};
  const options = { address: ADDRESS, prefixLength: 32, interface: 'svc0', ip };
  const address = new InterfaceAddress({ ...options, interfaces: () => seen });
  const looks = async (): Promise<boolean> => {
    await address.add(signal());
    await writeFile(log, '');
    await address.remove(signal());
    t.equal(await readFile(join(dir, 'A'), 'utf8'), '');
    return (await readFile(log, 'utf8')).includes('addr show');
  };
  t.equal(await looks(), true, 'an interface that is not seen says nothing');
  seen = { svc0: [{ address: '10.77.0.5' }, { address: ADDRESS }] };
  t.equal(await looks(), true, 'it still has the address');
  seen = { svc0: [{ address: '10.77.0.5' }], eth1: [{ address: ADDRESS }] };
  t.equal(await looks(), false);
});

t.test('a release does not wait for an acquire', async (t) => {
  const { workload, addresses, open } = await makeOne(t);
  const service = await open();
  const asked = Promise.withResolvers<void>();
  workload.acquire = (_, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      asked.resolve();
    });
  const acquiring = service.acquire(1, new AbortController().signal);
  const refused = t.rejects(acquiring, { code: 'service.failed', message: /was released/ });
  await asked.promise;
  await service.release();
  await refused;
  t.equal(await addresses(), '');
  const gone = AbortSignal.abort(new Error('not any more'));
  await t.rejects(service.acquire(2, gone), { message: 'not any more' });
});

t.test('without ip nothing starts; with one that fails the log says so', async (t) => {
  const without = await makeOne(t, { ip: ['/nowhere/ip'] });
  await t.rejects(without.open(), { code: 'tool.missing', message: /package iproute2/ });
  const { file, lines, open } = await makeOne(t);
  await writeFile(`${file}.broken`, 'Cannot open netlink socket');
  const service = await open();
  t.match(lines, [/looked for on svc0: Cannot open netlink socket/]);
  await t.rejects(service.acquire(1, signal()), { code: 'service.failed' });
});

t.test('an ip that hangs is a failure of the service, whose ever the limit was', async (t) => {
  const dir = t.testdir();
  const program = join(dir, 'ip');
  await writeFile(program, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
  const options = { address: ADDRESS, prefixLength: 32, interface: 'svc0' };
  const address = new InterfaceAddress({ ...options, ip: [program] });
  const message = /has not ended in time/;
  await t.rejects(address.there(AbortSignal.timeout(200)), { code: 'service.failed', message });
  const wish = new Error('not wanted any more');
  await t.rejects(address.there(AbortSignal.abort(wish)), wish);
});

t.test('an announcement that fails is for the log', async (t) => {
  const fails: Program = ['/bin/sh', '-c', 'echo no arping here >&2; exit 1'];
  for (const [arping, words] of [
    [NO_ARPING, /ENOENT; svc0 has no network/],
    [fails, /ended with 1: no arping here; svc0 has no network/],
  ] as const) {
    const { lines, open } = await makeOne(t, { arping, prefixLength: 32 });
    const service = await open();
    await service.acquire(1, signal());
    while (lines.length === 0) await sleep(5);
    t.match(lines, [/^10.77.0.50 could not be announced on svc0: /]);
    t.match(lines[0], words);
    await service.release();
  }
});

t.test('IPv6: the interface is made ready, the address comes alone', async (t) => {
  const ipv6Conf = join(t.testdirName, 'conf');
  const { addresses, lines, open } = await makeOne(t, {
    address: 'fd77::50',
    prefixLength: null,
    arping: ['false'],
    ipv6Conf,
  });
  await mkdir(join(ipv6Conf, 'svc0'), { recursive: true });
  const service = await open();
  t.equal(await readFile(join(ipv6Conf, 'svc0/accept_dad'), 'utf8'), '0\n');
  t.equal(await readFile(join(ipv6Conf, 'svc0/ndisc_notify'), 'utf8'), '1\n');
  await rm(join(ipv6Conf, 'svc0'), { recursive: true });
  await open();
  t.match(lines, [/^svc0 is not set up for a moving IPv6 address: ENOENT/]);
  await mkdir(join(ipv6Conf, 'svc0'));
  await service.acquire(1, signal());
  t.equal(await addresses(), 'svc0 fd77::50/128\n');
  await service[Symbol.asyncDispose]();
  t.equal(lines.length, 1, 'the kernel announces it, nobody else');
});

t.test('whom the kernel is made to ask for', async (t) => {
  t.same(neighboursOf('10.77.0.50', '10.77.0.1/24'), [
    '10.77.0.51',
    '10.77.0.102',
    '10.77.0.153',
    '10.77.0.204',
  ]);
  t.same(neighboursOf('192.0.2.1', '192.0.2.2/30'), ['192.0.2.2']);
  for (const network of ['10.0.0.1/8', '172.16.3.9/20', '192.168.1.77/29']) {
    const found = neighboursOf('192.168.1.73', network);
    t.equal(new Set(found).size, 4, found.join(' '));
  }
});
