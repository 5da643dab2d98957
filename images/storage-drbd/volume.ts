/**
 * The file system on the replicated device: made once by the first primary, checked, mounted and
 * unmounted. Always holds: it is made only where nothing is; what is there and is no ext4 is left
 * alone. Only a primary can open the device. Imports core, node and the tools.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { runTool, tryTool, wordsOf } from './tools.ts';

/** Longest check of the file system and longest unmount. */
const CHECK_MS = 120_000;
const UNMOUNT_MS = 10_000;
/** mke2fs writes the first block last, so a file system that was not finished begins with zeros. */
const HEAD_BYTES = 4096;
/** Source: kernel, ext4 "Super Block": s_magic at byte 56 of the block at byte 1024. */
const MAGIC = { offset: 1024 + 56, value: 0xef53 } as const;
/** s_state, two bytes after it: the kernel has met errors in the file system. */
const STATE = { offset: 1024 + 58, errors: 0x0002 } as const;
/** e2fsck(8): 1 = errors were corrected. 2 asks for a restart only for a mounted root. */
const CHECKED_MAX = 3;

/** Where the file system is and where it goes. */
export interface VolumeOptions {
  readonly device: string;
  readonly mountPoint: string;
}

/** The file system of a primary. */
export class Volume {
  readonly #options: VolumeOptions;

  constructor(options: VolumeOptions) {
    this.#options = options;
  }

  /** Where the objects are while it is mounted. */
  get mountPoint(): string {
    return this.#options.mountPoint;
  }

  /** Whether something is mounted there, also by an earlier process. */
  async mounted(): Promise<boolean> {
    const { mountPoint } = this.#options;
    const mounts = await readFile('/proc/mounts', 'utf8');
    return mounts.split('\n').some((line) => line.split(' ')[1] === mountPoint);
  }

  /**
   * Makes the file system if there is none, and mounts it; the kernel replays its journal. It is
   * checked when it is known to have errors or cannot be mounted. Throws `store.corrupt` and
   * `store.io`.
   */
  async mount(): Promise<void> {
    const { device, mountPoint } = this.#options;
    await mkdir(mountPoint, { recursive: true, mode: 0o700 });
    if (await this.mounted()) return;
    const found = await this.#look();
    if (found === 'nothing') {
      const shape = ['-t', 'ext4', '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0'];
      await runTool('mke2fs', ['-q', ...shape, device], { limitMs: CHECK_MS });
    }
    if (found === 'errors') await this.#check();
    const options = 'noatime,nosuid,nodev,noexec,errors=remount-ro';
    const words = ['-t', 'ext4', '-o', options, device, mountPoint];
    if ((await tryTool('mount', words)).status === 0) return;
    await this.#check();
    await runTool('mount', words);
  }

  /** Nothing of it is written any more when this resolves; throws `store.io` when it hangs. */
  async unmount(): Promise<void> {
    if (!(await this.mounted())) return;
    await runTool('umount', [this.#options.mountPoint], { limitMs: UNMOUNT_MS });
  }

  /** Repairs what may be repaired without a person. */
  async #check(): Promise<void> {
    const { device } = this.#options;
    const checked = await tryTool('e2fsck', ['-p', device], { limitMs: CHECK_MS });
    if (checked.status >= 0 && checked.status <= CHECKED_MAX) return;
    const message = `the file system on ${device} is damaged: e2fsck, ${wordsOf(checked)}`;
    throw new UpdateError('store.corrupt', message);
  }

  /** What the first block says; throws `store.corrupt` for anything but ext4. */
  async #look(): Promise<'nothing' | 'sound' | 'errors'> {
    const { device } = this.#options;
    const head = Buffer.alloc(HEAD_BYTES);
    await using file = await open(device, 'r');
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
    if (bytesRead === HEAD_BYTES && head.every((byte) => byte === 0)) return 'nothing';
    if (bytesRead === HEAD_BYTES && head.readUInt16LE(MAGIC.offset) === MAGIC.value) {
      return (head.readUInt16LE(STATE.offset) & STATE.errors) === 0 ? 'sound' : 'errors';
    }
    throw new UpdateError('store.corrupt', `${device} holds something, but no ext4 file system`);
  }
}
