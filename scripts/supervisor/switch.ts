/**
 * The power switch of an appliance and what turns it: an operator's commands and a peer's fence,
 * one after the other. Always holds: `off` is said of a fence only when every process of the node
 * is gone and the lock on its state fell; a fence whose asker has gone before its turn came is not
 * carried out, so that a node which was fenced does not strike back; the power that a fence took
 * comes back at most once, and never after an operator has switched the node off. Imports core, the
 * lock driver and its own parts.
 */
import { awaitStateUnlocked } from '../../src/drivers/state-lock.ts';
import type { PowerReply, PowerRequest, PowerStatus } from './power-client.ts';

/** What is switched. */
export interface Switched {
  on(): void;
  /** True when no process of the node lives any more. */
  off(): Promise<boolean>;
  status(): PowerStatus;
}

/** What the switch is told. */
export interface SwitchOptions {
  /** Data partition of the node, whose lock proves a death. */
  readonly stateDir: string;
  readonly log: (line: string) => void;
  /** How long a fenced node stays off before its power comes back; default 3 s. */
  readonly holdMs?: number;
}

/** How long the lock of a dead node may take to fall before the fence counts as failed. */
const LOCK_MS = 10_000;
/** Long enough for the one who fenced to make its new epoch durable, short for a service. */
const HOLD_MS = 3000;

/** The switch of one machine. */
export class PowerSwitch {
  readonly #machine: Switched;
  readonly #options: SwitchOptions;
  #turn: Promise<unknown> = Promise.resolve();
  /** A fence took the power of a running node and was asked to give it back. */
  #owed = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(machine: Switched, options: SwitchOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  /** Carries out a command after those before it; `isGone` says whether its asker still waits. */
  async handle(request: PowerRequest, isGone: () => boolean): Promise<PowerReply> {
    if (request.do === 'status') return this.#reply();
    const work = this.#turn.then(async () => this.#switch(request, isGone));
    this.#turn = work.catch(() => undefined);
    return work;
  }

  /** Returns when nothing is being switched any more, and nothing will be by itself. */
  async rest(): Promise<void> {
    await this.#turn;
    this.#forget();
  }

  async #switch(request: PowerRequest, isGone: () => boolean): Promise<PowerReply> {
    const { node } = this.#machine.status();
    if (request.node !== undefined && request.node !== node) {
      return { ok: false, error: `this is the power of node ${node}, not of ${request.node}` };
    }
    switch (request.do) {
      case 'fence':
        return this.#fence(request, isGone);
      case 'restore':
        this.#restore();
        return this.#reply();
      case 'on':
        this.#forget();
        this.#machine.on();
        return this.#reply();
      case 'off':
      case 'reset':
      case 'quit':
        this.#forget();
        if (!(await this.#machine.off())) {
          return { ok: false, error: 'a process of the node survived' };
        }
        if (request.do === 'reset') this.#machine.on();
        return this.#reply();
      case 'status':
      case 'keep':
        return this.#reply();
    }
  }

  async #fence(request: PowerRequest, isGone: () => boolean): Promise<PowerReply> {
    const { log, holdMs = HOLD_MS } = this.#options;
    const epoch = request.epoch === undefined ? '' : ` for epoch ${String(request.epoch)}`;
    if (isGone()) {
      log(`fence${epoch}: not done, whoever asked has gone`);
      return { ok: false, error: 'whoever asked has gone' };
    }
    const wasOn = this.#owed || this.#machine.status().power === 'on';
    this.#forget();
    this.#owed = wasOn && request.after === 'on';
    const fence = await this.#prove();
    log(`fence${epoch}: ${fence}`);
    const reply: PowerReply = { ...this.#reply(), fence };
    if (fence === 'off' && this.#owed) {
      // Through the queue like everything that switches.
      const restore = (): void => void this.handle({ do: 'restore' }, () => false);
      this.#timer = setTimeout(restore, holdMs);
    }
    return reply;
  }

  async #prove(): Promise<'off' | 'failed'> {
    if (!(await this.#machine.off())) return 'failed';
    try {
      await awaitStateUnlocked(this.#options.stateDir, AbortSignal.timeout(LOCK_MS));
      return 'off';
    } catch {
      return 'failed';
    }
  }

  #restore(): void {
    // Without the timer nothing is owed, or the fence failed and something may live: it stays off.
    if (this.#timer === null) return;
    this.#forget();
    this.#machine.on();
  }

  #forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#owed = false;
  }

  #reply(): { readonly ok: true; readonly status: PowerStatus } {
    return { ok: true, status: this.#machine.status() };
  }
}
