/**
 * A machine with programs for the two ways out of a boot: the contract of the port, the programs
 * and their arguments, and what happens when they do not do it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BootInfo } from '../../src/core/boot.ts';
import { commandHost, type HostCommands } from '../../src/drivers/host-command.ts';
import { hostContract } from '../contracts/host.ts';
import { MemoryHost } from '../memory/host.ts';

const BOOT: BootInfo = { bootId: 'boot-1', slot: 'A', reason: 'default', attempt: 0 };
const NONE: HostCommands = { restart: null, shutdown: null };

await hostContract(t, 'programs', async (t, boot) => {
  const inner = new MemoryHost(boot);
  const file = join(t.testdir({ words: '' }), 'words');
  const note = (how: string) => ['/bin/sh', '-c', 'echo "$1" >"$0"', file, how];
  const commands = { restart: note('restart'), shutdown: note('off') };
  const host = commandHost(inner, commands, (line) => t.fail(line), 1);
  return Promise.resolve({
    host,
    reboot: async (reason) => {
      await host.reboot(reason).catch(() => undefined);
      t.equal(await readFile(file, 'utf8'), 'restart\n');
      return inner.reboots.join();
    },
    powerOff: async (reason) => {
      await host.powerOff(reason).catch(() => undefined);
      t.equal(await readFile(file, 'utf8'), 'off\n');
      return inner.offs.join();
    },
    hardReset: (reason) => {
      t.throws(() => host.hardReset(reason), { name: 'Rebooted' });
      return inner.resets.join() === reason ? 'power cycle' : 'nothing';
    },
    fed: async () => Promise.resolve(inner.fed),
    spoil: async () => void (await Promise.resolve((inner.readOnly = 'read-only'))),
  });
});

/** How a shutdown goes with this command: what is said, and whether the exit status asks. */
async function ended(t: Test, shutdown: readonly string[] | null): Promise<readonly string[]> {
  const inner = new MemoryHost(BOOT);
  const said: string[] = [];
  const host = commandHost(inner, { ...NONE, shutdown }, (line) => said.push(line), 60_000);
  await t.rejects(host.powerOff('moved'), { name: 'Rebooted' });
  t.strictSame(inner.offs, ['moved']);
  return said;
}

t.test('without a program, and with one that fails, the exit status asks at once', async (t) => {
  t.strictSame(await ended(t, null), []);
  const failing = ['/bin/sh', '-c', 'echo no power >&2; exit 3'];
  t.strictSame(await ended(t, failing), ['/bin/sh ended with 3: no power']);
  t.match(await ended(t, ['/nowhere/poweroff']), [/^\/nowhere\/poweroff cannot be run: .*ENOENT/]);
  const dir = t.testdir();
  await writeFile(join(dir, 'poweroff'), 'no program', { mode: 0o644 });
  t.match(await ended(t, [join(dir, 'poweroff')]), [/cannot be run: .*EACCES/]);
});
