/**
 * What a secondary does with the writes of its primary: on disk here, then acknowledged to it.
 * Always holds: a copy that is level takes them without a gap; what was acknowledged is on this
 * disk; a disk that refuses ends the connection, so that the primary knows at once. Imports
 * objects, limits and the messages.
 */
import { checkKey } from './limits.ts';
import type { Change } from './entry.ts';
import { hashOf } from './record.ts';
import type { Replica } from './replica.ts';
import type { Session } from './session.ts';
import { bad, type Message } from './wire.ts';

type Of<T extends Message['t']> = Extract<Message, { t: T }>;

/** The writes of one primary on one connection. */
export class FollowedWrites {
  readonly #session: Session;
  readonly #replica: Replica;
  #ackDue: Of<'ack'> | null = null;

  constructor(session: Session, replica: Replica) {
    this.#session = session;
    this.#replica = replica;
  }

  /** Takes one write; throws `pair.bad_message` for one that is out of order. */
  take(head: Of<'write'>, body: Buffer | null): void {
    const { state, objects } = this.#replica;
    const { run, version } = head;
    if (!state.now.stale) {
      if (version !== this.#replica.head.version + 1) throw bad(`write ${version} out of order`);
      objects.committed = head.committed;
    }
    this.#replica.head = { run, version };
    const value = head.delete ? null : (body ?? Buffer.alloc(0));
    const hash = value === null ? null : hashOf(value);
    const change = { key: checkKey(head.key), value, hash, version, run, copy: false };
    void this.#place(change);
  }

  async #place(change: Change): Promise<void> {
    const { objects } = this.#replica;
    try {
      objects.show(await objects.append(change));
      this.#acknowledge(change.run, change.version);
    } catch (error) {
      // The disk refuses: the primary must know at once that this copy takes no more.
      this.#session.fail(error);
    }
  }

  /** Writes that share a sync of the disk share an acknowledgement. */
  #acknowledge(run: string, version: number): void {
    const due = this.#ackDue !== null;
    this.#ackDue = { t: 'ack', run, version };
    if (due) return;
    queueMicrotask(() => {
      const ack = this.#ackDue;
      this.#ackDue = null;
      if (ack) this.#session.connection.send(ack);
    });
  }
}
