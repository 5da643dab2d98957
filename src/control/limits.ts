/**
 * How much of the daemon one client may have at once: open requests, and requests per second.
 * Always holds: a client at its limit is refused with a code of its own and costs no other one its
 * answer; what is kept of clients is bounded. Imports core.
 */
import { UpdateError } from '../core/errors.ts';

/** The limits of one door. */
export interface Limits {
  /** Requests in work at once, streams included, of everybody. */
  readonly requestsMax: number;
  /** The same of one client. */
  readonly clientMax: number;
  /** Requests that a client may make at once after a pause, and how fast they come back. */
  readonly burst: number;
  readonly perSecond: number;
}

/** Of the two sockets. */
export const SOCKET_LIMITS: Limits = { requestsMax: 64, clientMax: 32, burst: 500, perSecond: 100 };
/** Of the remote listener. */
export const REMOTE_LIMITS: Limits = { requestsMax: 32, clientMax: 16, burst: 100, perSecond: 20 };

/** Clients that are remembered; beyond it those go that have asked for nothing for longest. */
const CLIENTS_MAX = 1024;

interface Client {
  open: number;
  tokens: number;
  atMs: number;
}

/** Counts what each client has. */
export class LimitBook {
  readonly #limits: Limits;
  readonly #nowMs: () => number;
  readonly #clients = new Map<string, Client>();
  #open = 0;

  /** `nowMs` is monotonic. */
  constructor(limits: Limits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** A request begins; disposing it ends it. Throws `daemon.busy`. */
  begin(): Disposable {
    const { requestsMax } = this.#limits;
    if (this.#open >= requestsMax) {
      throw new UpdateError('daemon.busy', `${this.#open} requests are open already`);
    }
    this.#open++;
    return { [Symbol.dispose]: () => void this.#open-- };
  }

  /** It is one of this client; throws `daemon.busy`, `daemon.rate_limited`. */
  of(name: string): Disposable {
    const { clientMax, burst, perSecond } = this.#limits;
    const client = this.#client(name);
    if (client.open >= clientMax) {
      const message = `${client.open} requests of ${name} are open already`;
      throw new UpdateError('daemon.busy', message);
    }
    const now = this.#nowMs();
    client.tokens = Math.min(burst, client.tokens + ((now - client.atMs) * perSecond) / 1000);
    client.atMs = now;
    if (client.tokens < 1) {
      const message = `${name} asks for more than ${perSecond} requests per second`;
      throw new UpdateError('daemon.rate_limited', message, { detail: { perSecond, waitS: 1 } });
    }
    client.tokens -= 1;
    client.open++;
    return { [Symbol.dispose]: () => void client.open-- };
  }

  #client(name: string): Client {
    const known = this.#clients.get(name);
    const client = known ?? { open: 0, tokens: this.#limits.burst, atMs: this.#nowMs() };
    this.#clients.delete(name);
    this.#clients.set(name, client);
    if (this.#clients.size > CLIENTS_MAX) {
      const idle = [...this.#clients].find(([, { open }]) => open === 0);
      if (idle !== undefined) this.#clients.delete(idle[0]);
    }
    return client;
  }
}
