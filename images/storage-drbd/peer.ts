/**
 * The channel between the two storage processes beside DRBD's own connection: epochs, formats, and
 * what persons ask for. Nothing of the store goes over it. Always holds: no word counts before the
 * other side has said which node of which pair it is; a side that has seen a higher epoch is heard
 * at once; every question ends. Imports core, the link and its messages.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { checkHello } from '../storage/hello.ts';
import type { ConnectionListener, PeerConnection } from '../storage/link.ts';
import { Talk } from '../storage/talk.ts';
import { bad, type Frame, type Hello, type Question } from '../storage/wire.ts';

/** What this side says of itself. */
export type Introduction = Omit<Hello, 't'>;

/** What the owner of the channel answers and hears. */
export interface PeerOptions {
  readonly node: NodeId;
  readonly pair: string;
  readonly introduction: () => Introduction;
  /** What the peer said of itself, at first and whenever it changed. */
  readonly onHello: (hello: Hello) => void;
  /** The peer asks for the format level; resolves when it is durable here. */
  readonly onFormat: (level: number) => Promise<void>;
  readonly onQuestion: (question: Question) => Promise<object | null>;
}

/** The channel; at most one connection at a time. */
export class Peer {
  readonly #options: PeerOptions;
  #session: PeerSession | null = null;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  /** What the peer said last of itself; null while it is not connected. */
  get hello(): Hello | null {
    return this.#session?.hello ?? null;
  }

  /** Takes over a connection that has proved the peer's key. */
  readonly attach = (connection: PeerConnection): ConnectionListener => {
    const session = new PeerSession(connection, this.#options, () => {
      if (this.#session === session) this.#session = null;
    });
    this.#session = session;
    return session;
  };

  /** Says anew what this side is. */
  introduce(): void {
    this.#session?.introduce();
  }

  /** The peer's answer; throws `pair.peer_unreachable` and what it refuses with. */
  async ask<T extends object | null>(question: Question): Promise<T> {
    return await this.#need().talk.ask<T>(question);
  }

  /** The peer writes this format level from now on, durably. */
  async raiseFormat(level: number): Promise<void> {
    await this.#need().raiseFormat(level);
  }

  #need(): PeerSession {
    if (this.#session?.hello) return this.#session;
    const message = 'the storage software of the other node does not answer';
    throw new UpdateError('pair.peer_unreachable', message);
  }
}

class PeerSession implements ConnectionListener {
  readonly talk: Talk;
  hello: Hello | null = null;
  readonly #connection: PeerConnection;
  readonly #options: PeerOptions;
  readonly #onClosed: () => void;
  #format: PromiseWithResolvers<void> | null = null;

  constructor(connection: PeerConnection, options: PeerOptions, onClosed: () => void) {
    this.#connection = connection;
    this.#options = options;
    this.#onClosed = onClosed;
    this.talk = new Talk(connection);
    this.introduce();
  }

  introduce(): void {
    this.#connection.send({ t: 'hello', ...this.#options.introduction() });
  }

  async raiseFormat(level: number): Promise<void> {
    this.#format ??= Promise.withResolvers<void>();
    this.#connection.send({ t: 'format', level });
    await this.#format.promise;
  }

  frame({ head }: Frame): void {
    try {
      this.#take(head);
    } catch (error) {
      this.#connection.close(asUpdateError(error), true);
    }
  }

  closed(reason: UpdateError): void {
    this.talk.end(reason);
    this.#format?.reject(reason);
    this.#onClosed();
  }

  #take(head: Frame['head']): void {
    if (head.t === 'hello') {
      this.talk.protocol = checkHello(head, this.#options);
      this.hello = head;
      this.#options.onHello(head);
      return;
    }
    if (this.hello === null) throw bad('a message before its hello');
    switch (head.t) {
      case 'ask':
        this.talk.answer(head.id, head.question, this.#options.onQuestion);
        break;
      case 'reply':
        this.talk.reply(head);
        break;
      case 'format':
        void this.#options.onFormat(head.level).then(
          () => this.#connection.send({ t: 'formatDone', level: head.level }),
          (error: unknown) => this.#connection.close(asUpdateError(error)),
        );
        break;
      case 'formatDone':
        this.#format?.resolve();
        this.#format = null;
        break;
      default:
        throw bad(`an unexpected ${head.t}`);
    }
  }
}
