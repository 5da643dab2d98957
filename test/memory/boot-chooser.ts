/**
 * The port BootChooser in memory, and the boot loader that goes with it. A `BootDisk` outlives a
 * power cut; `durable` is called before each write, so that a crash test can cut the power there
 * (it then throws and nothing is written). Imports core and ports.
 */
import {
  armTrial,
  changeOtherOk,
  commitTrial,
  firstBootState,
  revertTrial,
  type BootFields,
} from '../../src/core/boot-change.ts';
import {
  selectBoot,
  type BootCounter,
  type BootSelection,
  type BootState,
} from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import type { BootChooser } from '../../src/ports.ts';

/** What a boot chooser holds through a power cut. */
export interface BootDisk {
  state: BootState;
  counter: BootCounter;
}

/** The boot chooser of a new appliance. */
export function makeBootDisk(slot: Slot): BootDisk {
  return { state: { seq: 1, ...firstBootState(slot, false) }, counter: { trialId: 0, used: 0 } };
}

/** The boot chooser on `disk`. */
export class MemoryBootChooser implements BootChooser {
  readonly #disk: BootDisk;
  readonly #durable: (label: string) => void;

  constructor(disk: BootDisk, durable: (label: string) => void = () => undefined) {
    this.#disk = disk;
    this.#durable = durable;
  }

  async read(): Promise<{ readonly state: BootState; readonly counter: BootCounter }> {
    return Promise.resolve({ state: this.#disk.state, counter: this.#disk.counter });
  }

  async arm(trial: { readonly id: number; readonly slot: Slot; readonly tries: number }) {
    return this.#change('arm', (state) => armTrial(state, trial));
  }

  async commit(id: number): Promise<void> {
    return this.#change('commit', (state) => commitTrial(state, id));
  }

  async revert(id: number): Promise<void> {
    return this.#change('revert', (state) => revertTrial(state, id));
  }

  async setOtherOk(ok: boolean): Promise<void> {
    return this.#change('other ok', (state) => changeOtherOk(state, ok));
  }

  async #change(label: string, change: (state: BootState) => BootFields | null): Promise<void> {
    await Promise.resolve();
    const next = change(this.#disk.state);
    if (next === null) return;
    this.#durable(`boot chooser: ${label}`);
    this.#disk.state = { ...next, seq: this.#disk.state.seq + 1 };
  }
}

/** What the boot loader chooses at power-on; the attempt of a trial is counted. */
export function bootFrom(
  disk: BootDisk,
  durable: (label: string) => void = () => undefined,
): BootSelection {
  const choice = selectBoot(disk.state, disk.counter);
  if (choice.save !== null) {
    durable('boot loader: counter');
    disk.counter = choice.save;
  }
  return choice;
}
