/**
 * Idempotency keys on disk, so that a change is not done twice because the daemon restarted between
 * the request and its repetition. A ring of blocks in a preallocated file: each write goes to the
 * block after the last one, so a torn write costs only the entry that it was to bring. Always
 * holds: a key is durable when `put` resolves; the file never grows; a key lives for 24 hours of
 * running time, by a clock of its own that no wall clock moves, or until too many newer ones came.
 * Imports core, the contracts of control and the drivers of files.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { encodeFrame, FRAME_HEADER_BYTES, readFrame } from '../core/frame.ts';
import { KEYS_MAX, memoryBook, nameOf } from '../control/repeats.ts';
import type { KeyBook, KeyEntry } from '../control/repeats.ts';
import { createDiskFile, openDiskFile, type DiskFile } from '../drivers/disk-file.ts';

/** Bytes of a block: an entry with its answer. */
const BLOCK_BYTES = 1024;
/** Two blocks for each key: that its change began, and what it came to. */
const BLOCKS = 2 * KEYS_MAX;
const FILE = 'keys-of-requests';
const LIFE_S = 24 * 3600;
/** While keys are kept the clock is kept this often. */
const TICK_MS = 3_600_000;
const GENERATION = 1;

/** What a block holds. `atS` is the time of the book; an entry that is `gone` was refused. */
interface Block {
  readonly v: 1;
  readonly atS: number;
  readonly entry: KeyEntry | null;
  readonly gone?: boolean;
}

/** When and in which block a key was noted last. */
interface Kept {
  readonly entry: KeyEntry;
  /** When it came first. */
  readonly atS: number;
  readonly seq: number;
}

/**
 * The book in the state directory. Where its file cannot be used that is logged, and a change with
 * a key is refused with `state.io`, since the promise of the key could not be kept.
 */
export async function openKeyBook(
  stateDir: string,
  monotonicMs: () => number,
  log: (line: string) => void,
): Promise<KeyBook & AsyncDisposable> {
  const path = join(stateDir, FILE);
  const sizeBytes = BLOCK_BYTES * BLOCKS;
  try {
    const found = await stat(path).catch(() => null);
    if (found?.size !== sizeBytes) await createDiskFile(path, sizeBytes);
    const file = await openDiskFile(path, { maxBytes: sizeBytes });
    return new FileKeyBook(file, await file.read(0, sizeBytes), monotonicMs);
  } catch (error) {
    const { message } = asUpdateError(error);
    log(`${path} cannot be used, so idempotency keys are refused: ${message}`);
    return {
      ...memoryBook(),
      put: () => Promise.reject(new UpdateError('state.io', `no key can be kept: ${message}`)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}

class FileKeyBook implements KeyBook, AsyncDisposable {
  readonly #file: DiskFile;
  readonly #nowS: () => number;
  readonly #kept = new Map<string, Kept>();
  readonly #timer: NodeJS.Timeout;
  #seq = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(file: DiskFile, bytes: Uint8Array, monotonicMs: () => number) {
    this.#file = file;
    const beganS = this.#load(bytes);
    const beganMs = monotonicMs();
    this.#nowS = () => beganS + (monotonicMs() - beganMs) / 1000;
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Takes what is there; returns the time of the newest block. */
  #load(bytes: Uint8Array): number {
    const found: { readonly seq: number; readonly block: Block }[] = [];
    for (let offset = 0; offset < bytes.length; offset += BLOCK_BYTES) {
      const frame = readFrame(bytes, offset);
      const block = frame === null ? null : blockOf(frame.payload);
      if (frame !== null && block !== null) found.push({ seq: frame.seq, block });
    }
    let atS = 0;
    for (const { seq, block } of found.toSorted((a, b) => a.seq - b.seq)) {
      this.#seq = seq;
      atS = Math.max(atS, block.atS);
      if (block.entry !== null) this.#note(block.entry, block.atS, seq, block.gone === true);
    }
    return atS;
  }

  #note(entry: KeyEntry, atS: number, seq: number, gone: boolean): void {
    const name = nameOf(entry);
    const first = this.#kept.get(name)?.atS ?? atS;
    this.#kept.delete(name);
    if (!gone) this.#kept.set(name, { entry, atS: first, seq });
    for (const [old, kept] of this.#kept) {
      const overwritten = kept.seq <= seq - BLOCKS;
      if (overwritten || this.#kept.size > KEYS_MAX) this.#kept.delete(old);
    }
  }

  find(scope: string, key: string): KeyEntry | null {
    const kept = this.#kept.get(nameOf({ scope, key }));
    if (kept === undefined || this.#nowS() - kept.atS > LIFE_S) return null;
    return kept.entry;
  }

  async put(entry: KeyEntry): Promise<void> {
    const name = nameOf(entry);
    // One whose life is over begins anew.
    if (this.find(entry.scope, entry.key) === null) this.#kept.delete(name);
    const seq = await this.#write({ v: 1, atS: this.#nowS(), entry: fitting(entry) });
    this.#note(entry, this.#nowS(), seq, false);
  }

  async drop(scope: string, key: string): Promise<void> {
    const kept = this.#kept.get(nameOf({ scope, key }));
    if (kept === undefined) return;
    const { entry, atS } = kept;
    this.#note(entry, atS, kept.seq, true);
    // Without it the key would be taken for one whose change may have begun: never for a done one.
    await this.#write({ v: 1, atS: this.#nowS(), entry, gone: true }).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
    await this.#file[Symbol.asyncDispose]();
  }

  async #tick(): Promise<void> {
    if (this.#kept.size === 0) return;
    await this.#write({ v: 1, atS: this.#nowS(), entry: null }).catch(() => {});
  }

  /** Writes the next block, one after the other; returns its number. */
  async #write(block: Block): Promise<number> {
    const done = this.#turn.then(async () => {
      const seq = this.#seq + 1;
      const bytes = encodeFrame('value', GENERATION, seq, Buffer.from(JSON.stringify(block)));
      await this.#file.write((seq % BLOCKS) * BLOCK_BYTES, bytes);
      await this.#file.sync();
      this.#seq = seq;
      return seq;
    });
    this.#turn = done.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await done;
    } catch (cause) {
      const message = `an idempotency key cannot be kept: ${asUpdateError(cause).message}`;
      throw new UpdateError('state.io', message, { cause });
    }
  }
}

/** Room in a block beside what stands around the entry. */
const ENTRY_BYTES_MAX = BLOCK_BYTES - FRAME_HEADER_BYTES - 80;

/** The entry with the message of its answer cut where a block has no room for it. */
function fitting(entry: KeyEntry): KeyEntry {
  let fits = entry;
  for (let chars = 400; Buffer.byteLength(JSON.stringify(fits)) > ENTRY_BYTES_MAX; chars >>= 1) {
    const answer = (entry.answer ?? {}) as { readonly message?: unknown };
    if (chars === 0) return { ...entry, answer: null };
    fits = { ...entry, answer: { ...answer, message: String(answer.message).slice(0, chars) } };
  }
  return fits;
}

/** What a block says, as far as it is understood. */
function blockOf(payload: Uint8Array): Block | null {
  try {
    const block = JSON.parse(Buffer.from(payload).toString('utf8')) as Partial<Block> | null;
    const { v, atS, entry } = block ?? {};
    if (v !== 1 || typeof atS !== 'number' || entry === undefined) return null;
    if (entry === null) return block as Block;
    const texts = [entry.scope, entry.key, entry.print];
    const whole = texts.every((text) => typeof text === 'string') && 'answer' in entry;
    return whole ? (block as Block) : null;
  } catch {
    return null;
  }
}
