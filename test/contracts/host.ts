/**
 * What every driver of the port Host must hold. May import tap, core and ports.
 */
import type { Test } from 'tap';
import type { BootInfo } from '../../src/core/boot.ts';
import type { Host } from '../../src/ports.ts';

/** A host of a given boot, and what it did to the world. */
export interface HostHarness {
  readonly host: Host;
  /** Asks for a reboot and returns the reason as the world saw it; the boot has ended then. */
  readonly reboot: (reason: string) => Promise<string>;
  /** Asks for the power to go off and returns the reason likewise. */
  readonly powerOff: (reason: string) => Promise<string>;
  /** Cuts its own power and returns what the world saw of it. */
  readonly hardReset: (reason: string) => string;
  /** How often the watchdog was fed. */
  readonly fed: () => Promise<number>;
  /** From now on the data partition cannot be written. */
  readonly spoil: () => Promise<void>;
}

const BOOTS: readonly BootInfo[] = [
  { bootId: 'boot-1', slot: 'A', reason: 'default', attempt: 0 },
  { bootId: 'boot-2', slot: 'B', reason: 'trial', attempt: 2 },
  { bootId: 'boot-3', slot: 'A', reason: 'attempts-used', attempt: 0 },
  { bootId: 'boot-4', slot: 'A', reason: 'fallback', attempt: 0 },
];

/** Runs the suite as one subtest of `t`. */
export async function hostContract(
  t: Test,
  name: string,
  make: (t: Test, boot: BootInfo) => Promise<HostHarness>,
): Promise<void> {
  await t.test(`contract of Host: ${name}`, async (t) => {
    await t.test('it says what the boot loader said', async (t) => {
      for (const boot of BOOTS) t.same((await make(t, boot)).host.boot(), boot);
    });

    await t.test('time does not go back', async (t) => {
      const { host } = await make(t, BOOTS[0]!);
      const before = host.monotonicMs();
      t.ok(host.nowMs() > Date.UTC(1970, 0, 1));
      t.ok(host.monotonicMs() >= before);
    });

    await t.test('a reboot ends the boot and leaves its reason', async (t) => {
      const { reboot } = await make(t, BOOTS[0]!);
      t.match(await reboot('trial 7 is armed'), /^trial 7 is armed\n?$/);
    });

    await t.test('a power off ends the boot and leaves its reason', async (t) => {
      const { powerOff } = await make(t, BOOTS[0]!);
      t.match(await powerOff('asked for by anna'), /^asked for by anna\n?$/);
    });

    await t.test('a hard reset ends it at once', async (t) => {
      const { hardReset } = await make(t, BOOTS[0]!);
      t.equal(hardReset('the store does not let go'), 'power cycle');
    });

    await t.test('the watchdog is fed', async (t) => {
      const { host, fed } = await make(t, BOOTS[0]!);
      t.equal(await fed(), 0);
      host.feedWatchdog();
      host.feedWatchdog();
      t.equal(await fed(), 2);
    });

    await t.test('a partition that can be written, and one that cannot', async (t) => {
      const { host, spoil } = await make(t, BOOTS[0]!);
      const { signal } = new AbortController();
      await host.checkWritable(signal);
      await host.checkWritable(signal);
      const reason = new Error('not any more');
      await t.rejects(host.checkWritable(AbortSignal.abort(reason)), reason);
      await spoil();
      await t.rejects(host.checkWritable(signal), { code: 'health.check' });
    });
  });
}
