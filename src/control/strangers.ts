/**
 * Connections to the console socket on which nobody has logged in yet. Always holds: they are few
 * and short-lived; one too many costs the oldest of them and never a connection of somebody who is
 * logged in, so that a crowd at the door keeps nobody out. Imports Node.
 */
import type { Socket } from 'node:net';

/** Most such connections. */
export const STRANGERS_MAX = 32;
/** How long one may stay: longer than the longest queue of logins. */
export const STRANGER_MS = 15_000;

/** The connections of those who have not proved anything. */
export class Strangers {
  readonly #timers = new Map<Socket, NodeJS.Timeout>();
  readonly #max: number;
  readonly #stayMs: number;

  constructor(max = STRANGERS_MAX, stayMs = STRANGER_MS) {
    this.#max = max;
    this.#stayMs = stayMs;
  }

  /** A connection was made. */
  add(socket: Socket): void {
    this.#timers.set(
      socket,
      setTimeout(() => socket.destroy(), this.#stayMs),
    );
    socket.once('close', () => this.known(socket));
    const [oldest] = this.#timers.keys();
    if (this.#timers.size > this.#max) oldest?.destroy();
  }

  /** A request on it carried a good token; it is a stranger no more. */
  known(socket: Socket): void {
    clearTimeout(this.#timers.get(socket));
    this.#timers.delete(socket);
  }
}
