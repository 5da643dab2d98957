/**
 * Values by number: equal values, as far as the search tells them apart, get one number and one
 * object. Always holds: what only people read (sentences, logs, wall-clock times) is left out, so
 * that it never makes two states of one. Only tests import it.
 */

/** Fields that no decision depends on, and what stands in for them. */
const BLANK: Readonly<Record<string, unknown>> = {
  message: '',
  log: [],
  at: '',
  startedAt: '',
  phaseAt: '',
};

/** Of the reasons, the machine tells these from all others. */
const CODES: ReadonlySet<unknown> = new Set([
  'job.cancelled',
  'health.storage',
  'standby.failed_held',
  'standby.failed_rolled_back',
]);

function fieldOf(key: string, value: unknown): unknown {
  if (key === 'code') return CODES.has(value) ? value : 'health.check';
  return key in BLANK ? BLANK[key] : value;
}

/** A table of values; number 0 is null. A part of a value stands in its text by its number. */
export class Interner {
  /** Numbers of the objects that stand for others; whatever equals one is found by its text. */
  readonly #ids = new Map<object, number>();
  readonly #byText = new Map<string, number>();
  readonly #values: (object | null)[] = [null];

  /** The number of a value. */
  id(value: object | null): number {
    if (value === null) return 0;
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    const text = Array.isArray(value) ? `[${this.#list(value)}` : this.#fields(value);
    let id = this.#byText.get(text);
    if (id === undefined) {
      id = this.#values.length;
      const canon = this.#canon(value);
      this.#values.push(canon);
      this.#byText.set(text, id);
      this.#ids.set(canon, id);
    }
    return id;
  }

  #list(value: readonly unknown[]): string {
    return value.map((one) => this.#word(one)).join();
  }

  #fields(value: object): string {
    const words: string[] = [];
    for (const [key, one] of Object.entries(value)) {
      if (one !== undefined) words.push(`${key}:${this.#word(fieldOf(key, one))}`);
    }
    return words.toSorted().join();
  }

  #word(value: unknown): string {
    if (typeof value === 'object') return `#${this.id(value)}`;
    if (typeof value === 'string') return `"${value}`;
    return `${value as number | boolean | undefined}`;
  }

  #canon(value: object): object {
    const part = (one: unknown): unknown =>
      typeof one === 'object' && one !== null ? this.of(one) : one;
    if (Array.isArray(value)) return value.map(part);
    const fields = Object.entries(value).filter(([, one]) => one !== undefined);
    return Object.fromEntries(fields.map(([key, one]) => [key, part(fieldOf(key, one))]));
  }

  /** The one object that stands for all equal ones. */
  of<T extends object | null>(value: T): T {
    return this.#values[this.id(value)] as T;
  }

  /** The object with a number, or null for 0. */
  at(id: number): object | null {
    return this.#values[id] as object | null;
  }
}
