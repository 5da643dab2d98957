/**
 * The texts of DRBD: what the kernel says, read from recordings, and the configuration that it is
 * given. Imports tap and images/storage-drbd.
 */
import t from 'tap';
import { addressBeside, configText, secretOf } from '../../images/storage-drbd/config.ts';
import {
  endsPicture,
  helperOf,
  lineReader,
  NOTHING,
  parseLine,
  stateAfter,
  type DrbdState,
} from '../../images/storage-drbd/events.ts';
import { parseOutOfSync, parseProgress } from '../../images/storage-drbd/progress.ts';
import { parseIds } from '../../images/storage-drbd/uuids.ts';

/** Recorded on Linux 6.1, DRBD 8.4.11, drbd-utils 9.22: a bring-up, then a lost peer. */
const RECORDED = `exists -
create resource name:tandem role:Secondary suspended:no write-ordering:flush
create device name:tandem volume:0 minor:0 disk:Diskless size:0 read:0 written:0 blocked:no
change device name:tandem volume:0 minor:0 disk:Attaching size:0 read:0 written:0 blocked:upper
change device name:tandem volume:0 minor:0 disk:UpToDate size:65496 read:0 written:0 blocked:no
create connection name:tandem peer-node-id:0 conn-name:peer connection:StandAlone role:Unknown
create peer-device name:tandem volume:0 replication:Off peer-disk:DUnknown out-of-sync:0
change connection name:tandem peer-node-id:0 conn-name:peer connection:Connecting
change connection name:tandem peer-node-id:0 conn-name:peer connection:Connected
change connection name:tandem peer-node-id:0 conn-name:peer role:Secondary
change peer-device name:tandem volume:0 replication:Established peer-disk:UpToDate out-of-sync:0
change resource name:tandem role:Primary
change resource name:tandem suspended:fencing
change connection name:tandem connection:NetworkFailure role:Unknown
change peer-device name:tandem volume:0 replication:Off peer-disk:DUnknown sent:4427 out-of-sync:20
change resource name:tandem
call helper name:tandem peer-node-id:0 conn-name:peer helper:fence-peer
`;

function read(text: string, before = NOTHING): DrbdState {
  return text
    .split('\n')
    .flatMap((line) => parseLine(line) ?? [])
    .reduce(stateAfter, before);
}

t.test('recorded events', async (t) => {
  t.same(read(RECORDED), {
    role: 'Primary',
    peerRole: 'Unknown',
    frozen: true,
    suspended: false,
    connection: 'NetworkFailure',
    disk: 'UpToDate',
    peerDisk: 'DUnknown',
    replication: 'Off',
    outOfSyncBytes: 20 * 1024,
  });
  const [first = ''] = RECORDED.split('\n');
  t.equal(endsPicture(parseLine(first)!), true);
  t.same(read('destroy resource name:tandem', read(RECORDED)), NOTHING);
  t.match(read('destroy connection name:tandem', read(RECORDED)), { connection: null });
  t.match(read('destroy peer-device name:tandem volume:0', read(RECORDED)), { peerDisk: null });
  t.match(read('destroy device name:tandem volume:0', read(RECORDED)), { disk: null });
});

t.test('colours, unknown words and unknown lines', async (t) => {
  const coloured = 'exists device name:tandem disk:\u001b[1;31mInconsistent\u001b[0m new:1:2';
  t.match(read(coloured), { disk: 'Inconsistent' });
  t.match(read('exists device name:tandem disk:Splendid'), { disk: 'DUnknown' });
  t.match(read('exists resource name:tandem role:Emperor'), { role: 'Unknown' });
  t.match(read('change resource suspended:user,fencing'), { frozen: true, suspended: true });
  t.match(read('change resource suspended:no-data'), { frozen: false, suspended: true });
  t.match(read('change resource suspended:no', read(RECORDED)), { frozen: false });
  t.same(
    read('rename resource name:tandem role:Primary\nexists path name:tandem x:y\n\n'),
    NOTHING,
  );
  t.match(read('change peer-device out-of-sync:many', read(RECORDED)), { outOfSyncBytes: 20480 });
});

const of = (text: string) => helperOf(parseLine(text)!);

t.test('helpers', async (t) => {
  t.same(of('call helper name:tandem helper:split-brain'), { helper: 'split-brain', status: null });
  t.same(of('response helper name:tandem helper:fence-peer status:1792'), {
    helper: 'fence-peer',
    status: 1792,
  });
  t.same(of('response helper helper:x status:y'), { helper: 'x', status: -1 });
  t.equal(of('change resource name:tandem'), null);
});

t.test('lines arrive in pieces; one that is too long is passed over', async (t) => {
  const lines: string[] = [];
  const feed = lineReader((line) => lines.push(line));
  for (const piece of ['exists ', '-\nchange re', 'source a:b\n']) feed(piece);
  feed('x'.repeat(5000));
  feed('x\nlast\n');
  t.same(lines, ['exists -', 'change resource a:b', 'last']);
});

t.test('generation ids', async (t) => {
  const zeros = '0000000000000000';
  const flags = '1:1:1:1:0:0:0';
  t.same(parseIds(`BFC6DE4171A3590B:${zeros}:3977DEA11D07D85D:3976DEA11D07D85D:${flags}\n`), {
    current: 'bfc6de4171a3590a',
    base: null,
    history: ['3977dea11d07d85c', '3976dea11d07d85c'],
  });
  t.same(parseIds(`BFC6DE4171A3590A:3976DEA11D07D85D:${zeros}:${zeros}:${flags}`), {
    current: 'bfc6de4171a3590a',
    base: '3976dea11d07d85c',
    history: [],
  });
  const fresh = parseIds(`0000000000000004:${zeros}:${zeros}:${zeros}:0:0:0:0:0:0:0`);
  t.same(fresh, { current: zeros, base: null, history: [] });
  t.throws(() => parseIds('No valid meta data found'), { code: 'store.io' });
});

/** The lines of one device. */
const device = (n: number, rest: string): string =>
  ` ${n}: cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n` +
  `    ns:4447 nr:0 dw:12720 dr:707 al:15 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:40960\n${rest}`;

t.test('progress in /proc/drbd', async (t) => {
  const head = 'version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B\n';
  const bar =
    "\t[=>..................] sync'ed: 10.0% (40960/65496)K\n" +
    '\tfinish: 1:02:03 speed: 10,240 (10,240) K/sec\n';
  t.same(parseProgress(head + device(0, bar), 0), {
    doneBytes: (65_496 - 40_960) * 1024,
    totalBytes: 65_496 * 1024,
    rateBps: 10_240 * 1024,
    etaS: 3723,
  });
  const still = bar.replace('10,240 (', '0 (').replace("sync'ed", 'verified').replace(')K', ')M');
  t.same(parseProgress(head + device(0, still), 0), {
    doneBytes: (65_496 - 40_960) * 1024 * 1024,
    totalBytes: 65_496 * 1024 * 1024,
  });
  t.equal(parseProgress(head + device(0, ''), 0), null);
  t.equal(parseProgress(head + device(0, '') + device(1, bar), 0), null, 'of another device');
  t.equal(parseOutOfSync(head + device(0, ''), 0), 40_960 * 1024);
  t.equal(parseOutOfSync(head, 0), null);
});

t.test('the configuration', async (t) => {
  const spec = {
    hostname: 'node-a',
    listen: '10.9.0.1:7401',
    peer: '[fd00::2]:7401',
    disk: '/dev/vda9',
    secret: secretOf('p'.repeat(32), ['a'.repeat(64), 'b'.repeat(64)]),
  };
  const text = configText(spec);
  for (const line of [
    'protocol C;',
    'fencing resource-and-stonith;',
    'after-sb-0pri disconnect;',
    'after-sb-1pri disconnect;',
    'after-sb-2pri disconnect;',
    'rr-conflict disconnect;',
    'address ipv4 10.9.0.1:7402;',
    'address ipv6 [fd00::2]:7402;',
    'meta-disk internal;',
    'disk /dev/vda9;',
    'on node-a {',
    'on tandem-peer {',
  ]) {
    t.ok(text.includes(line), line);
  }
  t.match(configText({ ...spec, hostname: 'tandem-peer' }), /on tandem-peer-2 \{/);
  t.notMatch(text, /allow-two-primaries|discard-|violently|consensus/);
  t.ok(spec.secret.length <= 63, 'DRBD takes 63 characters');
  const swapped = secretOf('p'.repeat(32), ['b'.repeat(64), 'a'.repeat(64)]);
  t.equal(swapped, spec.secret, 'the same on both nodes');
  t.not(secretOf('q'.repeat(32), ['a'.repeat(64), 'b'.repeat(64)]), spec.secret);
  for (const bad of ['0.0.0.0:7401', 'node-b:7401', '[::]:7401', '10.9.0.1:65535']) {
    t.throws(() => addressBeside(bad), { code: 'config.invalid' }, bad);
  }
});
