/**
 * Questions between the two storage processes, over the connection that replicates (from protocol 2
 * on). Always holds: every question ends, with its answer, with the connection, or with the signal;
 * at most `ASKED_MAX` are open in each direction; answering one never makes a write wait. Imports
 * core and the messages.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { PROTOCOL_TALK } from './limits.ts';
import type { PeerConnection } from './link.ts';
import { bad, type Message, type Question } from './wire.ts';

/** Questions of one side that may be open at a time. */
const ASKED_MAX = 16;

type Reply = Extract<Message, { t: 'reply' }>;

/** Answers one question; what it throws is the asker's error. */
export type Answerer = (question: Question) => Promise<object | null>;

/** The questions of one connection, in both directions. */
export class Talk {
  readonly #connection: PeerConnection;
  readonly #open = new Map<number, PromiseWithResolvers<object | null>>();
  #next = 1;
  /** What both sides speak; 0 before the peer's hello. */
  protocol = 0;
  #answering = 0;

  constructor(connection: PeerConnection) {
    this.#connection = connection;
  }

  /** The peer can be asked; a question to an older one would end the connection. */
  get able(): boolean {
    return this.protocol >= PROTOCOL_TALK;
  }

  /** Throws `pair.protocol` when the peer's software is too old to be asked. */
  need(): void {
    if (this.able) return;
    const message = 'the storage software of the other node is too old for this';
    throw new UpdateError('pair.protocol', message);
  }

  /** The peer's answer; throws what it refuses with, or why the connection ended. */
  async ask<T extends object | null>(question: Question): Promise<T> {
    if (this.#connection.closed) throw lost();
    this.need();
    if (this.#open.size >= ASKED_MAX) throw new UpdateError('store.busy', 'too many questions');
    const id = this.#next++;
    const answer = Promise.withResolvers<object | null>();
    this.#open.set(id, answer);
    this.#connection.send({ t: 'ask', id, question });
    return (await answer.promise) as T;
  }

  reply({ id, answer, error }: Reply): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    if (error === undefined) open?.resolve(answer);
    else open?.reject(UpdateError.from(error));
  }

  /** Lets `answerer` work on a question and sends what comes of it. */
  answer(id: number, question: Question, answerer: Answerer): void {
    if (this.#answering >= ASKED_MAX) throw bad('too many questions at a time');
    this.#answering += 1;
    void answerer(question)
      .then(
        (answer) => this.#connection.send({ t: 'reply', id, answer }),
        (cause: unknown) => {
          const { code, message } = asUpdateError(cause);
          this.#connection.send({ t: 'reply', id, answer: null, error: { code, message } });
        },
      )
      .finally(() => (this.#answering -= 1));
  }

  /** The connection has ended. */
  end(reason: UpdateError): void {
    for (const open of this.#open.values()) open.reject(reason);
    this.#open.clear();
  }
}

function lost(): UpdateError {
  return new UpdateError('pair.peer_unreachable', 'the other storage process is not connected');
}
