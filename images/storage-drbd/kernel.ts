/**
 * DRBD in the kernel, as the storage software works it: module, meta-data, role, connection. Always
 * holds: meta-data are made only on a partition that holds nothing, and only for a copy that never
 * had any; every command has a time limit. Commands: drbdadm(8), drbdsetup(8) of 8.4. Imports core,
 * node and the tools.
 */
import { access, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { Progress } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import { checkDevice } from '../../src/drivers/block-device.ts';
import { writeFileAtomic } from '../../src/drivers/fs-atomic.ts';
import { CONFIG_FILE, configText, MINOR, RESOURCE, type ConfigSpec } from './config.ts';
import { parseOutOfSync, parseProgress } from './progress.ts';
import { runTool, tryTool, wordsOf } from './tools.ts';
import { parseIds } from './uuids.ts';

/** Modules of a system image: a list in load order, and the modules themselves. */
const MODULES_DIR = '/usr/lib/modules';
const MODULE_LIST = join(MODULES_DIR, 'drbd');
const STATUS_FILE = '/proc/drbd';
/** Label of the partition with the copy. */
export const STORE_LABEL = 'tandem-store';
/** Looked at from both ends of a partition before meta-data are made on it. */
const BLANK_BYTES = 1024 * 1024;
/** A promotion may wait for the handler, which waits for the storage software. */
const ROLE_MS = 20_000;
const MAKE_MS = 60_000;

/** DRBD's own word for a state that a command must not lead to; drbd_strings.c. */
const TWO_PRIMARIES = /Multiple primaries/i;

/** What the kernel is worked with; tests have another one. */
export type KernelPort = Pick<Kernel, keyof Kernel>;

/** The one resource in the kernel. */
export class Kernel {
  readonly #config: ConfigSpec;

  constructor(config: ConfigSpec) {
    this.#config = config;
  }

  /** Loads the module with what it needs. Throws `store.io`. */
  async load(): Promise<void> {
    const text = await readFile(MODULE_LIST, 'utf8').catch(() => '');
    for (const name of text.split('\n').filter((line) => line !== '')) {
      if (await isThere(`/sys/module/${name}`)) continue;
      await runTool('insmod', [join(MODULES_DIR, `${name}.ko`)]);
    }
    if (await isThere(STATUS_FILE)) return;
    throw new UpdateError('store.io', 'the kernel has no DRBD: this system image lacks its module');
  }

  /** Writes the configuration; it has the secret of the connection in it. */
  async configure(): Promise<void> {
    await writeFileAtomic(CONFIG_FILE, configText(this.#config), { mode: 0o600 });
  }

  /** True when the partition carries meta-data. */
  async hasMetaData(): Promise<boolean> {
    const { disk } = this.#config;
    const words = ['v08', disk, 'internal', 'get-gi'];
    return (await tryTool('drbdmeta', [String(MINOR), ...words])).status === 0;
  }

  /** Whether both ends of the partition hold nothing but zeros. */
  async isBlank(): Promise<boolean> {
    await using file = await open(this.#config.disk, 'r');
    const bytes = Buffer.alloc(BLANK_BYTES);
    const head = await file.read(bytes, 0, BLANK_BYTES, 0);
    if (bytes.subarray(0, head.bytesRead).some((byte) => byte !== 0)) return false;
    const endAt = await checkDevice(file, this.#config.disk, STORE_LABEL);
    const tail = await file.read(bytes, 0, BLANK_BYTES, Math.max(0, endAt - BLANK_BYTES));
    return !bytes.subarray(0, tail.bytesRead).some((byte) => byte !== 0);
  }

  /** Makes meta-data. The caller has seen that there is nothing to lose. */
  async makeMetaData(): Promise<void> {
    await runTool('drbdadm', ['--', '--force', 'create-md', RESOURCE], { limitMs: MAKE_MS });
  }

  /** Attaches the partition and begins to connect. */
  async up(): Promise<void> {
    await runTool('drbdadm', ['up', RESOURCE], { limitMs: MAKE_MS });
  }

  /** Brings what runs in the kernel in line with the configuration. */
  async adjust(): Promise<void> {
    await runTool('drbdadm', ['adjust', RESOURCE], { limitMs: MAKE_MS });
  }

  /** Disconnects and detaches; a secondary only. */
  async down(): Promise<void> {
    await runTool('drbdadm', ['down', RESOURCE], { limitMs: ROLE_MS });
  }

  /** Connects again after DRBD gave up; `discard`: what only this copy has may be overwritten. */
  async connect(discard = false): Promise<void> {
    const words = discard ? ['--', '--discard-my-data'] : [];
    await runTool('drbdadm', [...words, 'connect', RESOURCE]);
  }

  /** Ends the connection in good order, or an attempt to connect. */
  async disconnect(): Promise<void> {
    await runTool('drbdadm', ['disconnect', RESOURCE], { limitMs: ROLE_MS });
  }

  /**
   * Makes this copy the one that is written. `force`: although nothing was ever agreed upon. Throws
   * `store.fenced` while the other copy is primary, `store.io` otherwise.
   */
  async primary(force = false): Promise<void> {
    const words = force ? ['--', '--force'] : [];
    const ended = await tryTool('drbdadm', [...words, 'primary', RESOURCE], { limitMs: ROLE_MS });
    if (ended.status === 0) return;
    const said = wordsOf(ended);
    if (TWO_PRIMARIES.test(said)) {
      throw new UpdateError('store.fenced', 'the copy of the other node is still the primary');
    }
    throw new UpdateError('store.io', `drbdadm primary: ${said}`);
  }

  /** Ends being primary; throws `store.io` while the device is in use. */
  async secondary(): Promise<void> {
    await runTool('drbdadm', ['secondary', RESOURCE], { limitMs: ROLE_MS });
  }

  /**
   * Lets go of the disk of a frozen primary, so that what waits fails and the device can be let go.
   * Whatever waited was not acknowledged. The resource must be taken down afterwards.
   */
  async giveUpFrozen(): Promise<void> {
    await runTool('drbdsetup', ['detach', String(MINOR), '--force']);
    await runTool('drbdsetup', ['resume-io', String(MINOR)]);
  }

  /** Two copies that never held anything count as level from now on, without a sync. */
  async agree(): Promise<void> {
    await runTool('drbdadm', ['--', '--clear-bitmap', 'new-current-uuid', `${RESOURCE}/0`]);
  }

  /** Begins to compare both copies, block by block. */
  async verify(): Promise<void> {
    await runTool('drbdadm', ['verify', RESOURCE]);
  }

  /** Everything is sent to the peer anew. */
  async invalidateRemote(): Promise<void> {
    await runTool('drbdadm', ['invalidate-remote', RESOURCE], { limitMs: ROLE_MS });
  }

  /** Generation ids of the attached copy. */
  async generation(): Promise<Generation> {
    return parseIds(await runTool('drbdsetup', ['get-gi', String(MINOR)]));
  }

  /** How a sync or a comparison goes; null without one. */
  async progress(): Promise<Progress | null> {
    return parseProgress(await readFile(STATUS_FILE, 'utf8'), MINOR);
  }

  /** Bytes that the copies are known to differ in. */
  async outOfSyncBytes(): Promise<number> {
    return parseOutOfSync(await readFile(STATUS_FILE, 'utf8'), MINOR) ?? 0;
  }

  /** The last words of the kernel about the resource, the newest last. */
  async messages(): Promise<readonly string[]> {
    const { stdout } = await tryTool('dmesg', []);
    const own = stdout.split('\n').filter((line) => /\bdrbd\d* ?(tandem|:|\d)/.test(line));
    return own.slice(-40).map((line) => line.replace(/^\[[ \d.]+\] */, ''));
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
