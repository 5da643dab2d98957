/**
 * The progress record of installs: per slot, which image was being written and how far it is
 * durable. It lives in a preallocated two-copy file that is overwritten in place. Always holds: a
 * record is written only after the data that it speaks of was synced, and it is a hint, no more:
 * whoever resumes hashes again what it claims, so a lost, stale or foreign record costs time and
 * never correctness. Imports core, the two-copy file and its lay-out.
 */
import type { Sha256, Slot, SlotClass } from '../core/model.ts';
import { ioError } from '../drivers/fs-atomic.ts';
import { createTwoCopyFile, TwoCopyFile } from '../drivers/two-copy-file.ts';

/** Schema of the progress file; any other one counts as no hint. */
const HINT_SCHEMA = 1;

/** What a slot probably holds. */
export interface SlotHint {
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly imageId: Sha256;
  /** Bytes from the start of the slot that were durable when the record was written. */
  readonly doneBytes: number;
  /** The install was one that overwrites the whole slot. */
  readonly format: boolean;
  /** The whole image was there and, unless read-back was off, was read back. */
  readonly complete: boolean;
}

interface HintFile {
  readonly schema: number;
  readonly slots: readonly SlotHint[];
}

/** The open progress file of this node. */
export class Hints implements AsyncDisposable {
  readonly #file: TwoCopyFile;
  #slots: readonly SlotHint[];

  private constructor(file: TwoCopyFile) {
    this.#file = file;
    this.#slots = hintsOf(file.value);
  }

  /**
   * Opens the file; makes it when there is none of the right size. Throws `state.io` when that is
   * not possible.
   */
  static async open(path: string): Promise<Hints> {
    try {
      await createTwoCopyFile(path);
      return new Hints(await TwoCopyFile.open(path));
    } catch (error) {
      throw ioError(error, 'state.io', `the progress file ${path} cannot be opened`);
    }
  }

  /** The hint for a slot, or null. */
  of(cls: SlotClass, slot: Slot): SlotHint | null {
    return this.#slots.find((hint) => hint.class === cls && hint.slot === slot) ?? null;
  }

  /** Replaces the hint of its slot; durable when it returns. */
  async set(hint: SlotHint): Promise<void> {
    const others = this.#slots.filter((o) => o.class !== hint.class || o.slot !== hint.slot);
    this.#slots = [...others, hint];
    const value: HintFile = { schema: HINT_SCHEMA, slots: this.#slots };
    await this.#file.writeOne(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** The hints in the content of such a file; what is none is left out. Never throws. */
export function hintsOf(content: unknown): readonly SlotHint[] {
  const value = content as Partial<HintFile> | null;
  const good = value?.schema === HINT_SCHEMA && Array.isArray(value.slots);
  return good ? (value.slots ?? []).filter(isHint) : [];
}

function isHint(value: unknown): value is SlotHint {
  const hint = value as Partial<SlotHint> | null;
  return (
    (hint?.class === 'system' || hint?.class === 'storage') &&
    (hint.slot === 'A' || hint.slot === 'B') &&
    typeof hint.imageId === 'string' &&
    Number.isSafeInteger(hint.doneBytes) &&
    Number(hint.doneBytes) >= 0 &&
    typeof hint.format === 'boolean' &&
    typeof hint.complete === 'boolean'
  );
}
