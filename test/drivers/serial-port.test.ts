/**
 * The real serial port, on pseudo terminals: the channel over it, the lock, a hang-up and the way
 * back, a peer that does not read. Skipped where no terminals can be made. May import tap, node:,
 * the drivers and the terminals.
 */
import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openSerialLink, type SerialLink } from '../../src/drivers/link-serial.ts';
import { openSerialPort } from '../../src/drivers/serial-port.ts';
import type { PairKeys } from '../../src/drivers/keys.ts';
import { Inbox, untilUp } from '../contracts/peer-link.ts';
import { makeLinkKeys } from './link-keys.ts';
import { hangUp, joinPtys, openPty, type Pty } from './pty-cable.ts';

const dir = t.testdir();
const keys = await makeLinkKeys(dir);
const BAUD = 115_200;
const timers = { beatMs: 20, silentTicks: 25, retryMs: 5, retryMaxMs: 20 };

/** Why there can be no terminals here, or null. */
async function missing(): Promise<string | null> {
  try {
    await hangUp(await openPty());
    return null;
  } catch (error) {
    return `no pseudo terminals here: ${String(error)}`;
  }
}
const reason = await missing();
const skip = reason ?? false;

/** A path that can be led to another terminal, as udev does with an adapter. */
async function lead(path: string, pty: Pty): Promise<void> {
  await symlink(pty.path, `${path}.new`);
  await rename(`${path}.new`, path);
}

let count = 0;
async function twoPtys(t: Test) {
  const [a, b] = await Promise.all([openPty(), openPty()]);
  t.teardown(() => hangUp(a));
  t.teardown(() => hangUp(b));
  joinPtys(a, b);
  const paths = [join(dir, `line-${(count += 1)}`), join(dir, `line-${(count += 1)}`)] as const;
  await Promise.all([lead(paths[0], a), lead(paths[1], b)]);
  return { a, b, paths };
}

function openEnd(t: Test, own: PairKeys, path: string): SerialLink {
  const open = () => openSerialPort(path, BAUD);
  const link = openSerialLink({ keys: own, path, baud: BAUD, open, timers });
  t.teardown(() => link[Symbol.asyncDispose]());
  return link;
}

await t.test('a port that is none says so', async (t) => {
  const none = join(dir, 'none');
  const missing = { code: 'link.serial_failed', message: new RegExp(`^${none}: `) };
  await t.rejects(openSerialPort(none, BAUD), missing);
  for (const path of [join(dir, 'a/node.crt'), '/dev/null']) {
    const message = `${path} is no serial port: it is a file or a device without a line`;
    await t.rejects(openSerialPort(path, BAUD), { code: 'link.serial_failed', message }, path);
  }
});

await t.test('the channel over two terminals', { skip }, async (t) => {
  const { a, paths } = await twoPtys(t);
  const [linkA, linkB] = [openEnd(t, keys.a, paths[0]), openEnd(t, keys.b, paths[1])];
  const atB = new Inbox(linkB);
  await Promise.all([untilUp(linkA, true), untilUp(linkB, true)]);
  const bytes = Array.from({ length: 256 }, (_, n) => String.fromCodePoint(n)).join('');
  linkA.send({ type: 'report', bytes });
  t.same(await atB.until(1), [{ type: 'report', bytes }]);
  t.equal(linkB.counters().noiseBytes, 0);
  t.equal(linkB.counters().refused, 0);

  await t.rejects(openSerialPort(paths[0], BAUD), {
    code: 'link.serial_failed',
    message: /lock/i,
  });

  await hangUp(a);
  await Promise.all([untilUp(linkA, false), untilUp(linkB, false)]);
  t.match(linkA.channels()[0]?.error, { code: 'link.serial_failed' });
});

await t.test('an adapter that is pulled and comes back', { skip }, async (t) => {
  const { a, b, paths } = await twoPtys(t);
  const [linkA, linkB] = [openEnd(t, keys.a, paths[0]), openEnd(t, keys.b, paths[1])];
  await Promise.all([untilUp(linkA, true), untilUp(linkB, true)]);
  // The path goes first, as with an adapter: the number of the terminal is soon used again.
  await rm(paths[0]);
  await hangUp(a);
  await Promise.all([untilUp(linkA, false), untilUp(linkB, false)]);
  const again = await openPty();
  t.teardown(() => hangUp(again));
  joinPtys(again, b);
  await lead(paths[0], again);
  await Promise.all([untilUp(linkA, true), untilUp(linkB, true)]);
  t.ok(linkA.counters().opened >= 2);
  t.equal(linkB.counters().opened, 1);
  const atB = new Inbox(linkB);
  linkA.send({ type: 'request', id: '1', request: {} });
  t.same(await atB.until(1), [{ type: 'request', id: '1', request: {} }]);
});

await t.test('a terminal that nobody reads is closed without waiting', { skip }, async (t) => {
  const pty = await openPty();
  t.teardown(() => hangUp(pty));
  pty.process.kill('SIGSTOP');
  const line = await openSerialPort(pty.path, BAUD);
  let taken = 0;
  const blocks = 64;
  for (let n = 0; n < blocks; n += 1) {
    line.stream.write(Buffer.alloc(4096, n), (error) => (taken += error ? 0 : 1));
  }
  t.ok(line.stream.writableNeedDrain, 'write() said that it is full');
  await line.close();
  t.ok(taken < blocks, `${taken} of ${blocks} blocks were taken`);
  await line.close();
});
