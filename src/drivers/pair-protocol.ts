/**
 * What both sides of a pairing share: the conversation over one TLS connection and the proofs in
 * it. The code's secret never travels; every proof is an HMAC under a key made of the secret and
 * of this very connection (its TLS exporter value, RFC 8446, 7.5), over both node ids, both public
 * keys, the step and the pair id. So a proof is worth nothing on another connection, in the other
 * direction, for another step or with another key: whoever sits in between has two connections,
 * and would have to find 128 random bits. Always holds: a stranger's frame is at most 4 KiB, a
 * conversation ends by itself, and no text of the other side is shown. Imports core.
 *
 * Steps, `init` listens and `join` connects:
 *   init -> join  hello  {node}
 *   join -> init  join   {node, pair: earlier id or '', proof,   a wrong proof costs a try
 *                         runs: its versions, core/replace.ts}
 *   init -> join  offer  {pair, proof}                           join stores the pair, durably
 *   join -> init  stored {proof}                                 init stores the pair, durably
 *   init -> join  done   {proof}
 * or, at any step, init -> join  refused {code, wants: the version that a new node must run}.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { CODES, type Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { encodeFrame, FrameParser } from './frames.ts';
import type { PairRecord } from './keys.ts';
import { brokenBy } from './link-connection.ts';

/** Name of the pairing in the TLS handshake (ALPN); a new version of the steps gets a new one. */
export const PAIR_PROTOCOL = 'tandem-pair/1';
/** RFC 5705, 4: labels of applications start with EXPORTER. */
const EXPORTER_LABEL = 'EXPORTER-tandem-pair';
const MESSAGE_BYTES_MAX = 4096;
/** Longest duration of one conversation; it needs five short messages and two small writes. */
const CONVERSATION_MS = 15_000;

/** The two ends of a pairing; `spki` is the digest of the public key that each end proved. */
export interface Sides {
  readonly init: { readonly node: NodeId; readonly spki: string };
  readonly join: { readonly node: NodeId; readonly spki: string };
}

/** The step that a proof belongs to. */
export type ProofStep = 'join' | 'offer' | 'stored' | 'done';

/** Forms of the fields in messages. */
export const FIELD = {
  node: /^[AB]$/,
  proof: /^[0-9a-f]{64}$/,
  pair: /^[0-9a-f]{32}$/,
  earlierPair: /^([0-9a-f]{32})?$/,
} as const;

/** Makes and checks the proofs of one connection. */
export class Proofs {
  readonly #key: Buffer;
  readonly #sides: Sides;

  constructor(socket: TLSSocket, secret: Buffer, sides: Sides) {
    const exported = socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0));
    this.#key = Buffer.from(hkdfSync('sha256', secret, exported, PAIR_PROTOCOL, 32));
    this.#sides = sides;
  }

  /** 64 hexadecimal digits. */
  make(step: ProofStep, pair: string): string {
    const { init, join } = this.#sides;
    const text = [PAIR_PROTOCOL, step, init.node, init.spki, join.node, join.spki, pair].join('\n');
    return createHmac('sha256', this.#key).update(text).digest('hex');
  }

  /** Whether `proof` is the one for this step; in constant time. */
  holds(step: ProofStep, pair: string, proof: string): boolean {
    const expected = Buffer.from(this.make(step, pair));
    const found = Buffer.from(proof);
    return found.length === expected.length && timingSafeEqual(found, expected);
  }
}

/** Codes that a refusal may carry; anything else is shown as a broken conversation. */
const REFUSALS: readonly Code[] = [
  'pair.code_wrong',
  'pair.already_paired',
  'pair.same_node',
  'pair.other_version',
  'pair.key_revoked',
  'replace.refused',
  'state.io',
];
/** What a version may look like in a refusal. */
const VERSION = /^[0-9A-Za-z.+-]{1,64}$/;

/** Messages in turn over one connection, which it closes after a time limit. */
export class Conversation implements AsyncDisposable {
  readonly #socket: TLSSocket;
  readonly #messages: AsyncGenerator<object, void>;
  readonly #timer: NodeJS.Timeout;

  /** Takes over a socket whose handshake is done and from which nothing was read. */
  constructor(socket: TLSSocket, limitMs: number = CONVERSATION_MS) {
    this.#socket = socket;
    this.#messages = messagesOf(socket);
    this.#timer = setTimeout(
      () => socket.destroy(new Error(`not finished within ${limitMs} ms`)),
      limitMs,
    );
    socket.once('close', () => clearTimeout(this.#timer));
    // The reader gets the error; without a listener Node would take it for an unhandled one.
    socket.on('error', () => undefined);
  }

  send(message: { readonly type: string } & Readonly<Record<string, string>>): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(message));
  }

  /**
   * The next message, which must be of `type` with the given fields. Throws the refusal of the
   * other side, `pair.bad_message` for anything else, `pair.peer_unreachable` when it ends.
   */
  async receive<F extends string>(
    type: string,
    fields: Readonly<Record<F, RegExp>>,
  ): Promise<Readonly<Record<F, string>>> {
    const message = await this.#next();
    if (message['type'] === 'refused') throw refusal(message['code'], message['wants']);
    const names = Object.keys(fields) as F[];
    const good = names.every((name) => {
      const value = message[name];
      return typeof value === 'string' && fields[name].test(value);
    });
    if (message['type'] !== type || !good) {
      throw new UpdateError('pair.bad_message', `expected a message ${type} of a pairing`);
    }
    return message as Record<F, string>;
  }

  /** Closes after what was sent has left; the time limit still holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A reader that still waits would keep the socket from seeing its end.
    await this.#messages.return();
    if (!this.#socket.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#socket.once('close', () => resolve());
      this.#socket.end();
      this.#socket.resume();
      await promise;
    }
    clearTimeout(this.#timer);
  }

  async #next(): Promise<Readonly<Record<string, unknown>>> {
    let result: IteratorResult<object, void>;
    try {
      result = await this.#messages.next();
    } catch (cause) {
      throw brokenBy(cause);
    }
    if (result.done) {
      throw new UpdateError('pair.peer_unreachable', 'the other node ended the conversation');
    }
    return result.value as Record<string, unknown>;
  }
}

async function* messagesOf(socket: TLSSocket): AsyncGenerator<object, void> {
  const parser = new FrameParser(MESSAGE_BYTES_MAX);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    parser.push(chunk as Buffer);
    for (let frame = parser.next(); frame; frame = parser.next()) {
      if (frame.kind === 'message') yield frame.message;
    }
  }
}

function refusal(code: unknown, wants: unknown): UpdateError {
  const known = REFUSALS.find((word) => word === code);
  if (known === 'pair.other_version' && typeof wants === 'string' && VERSION.test(wants)) {
    const message = `the pair runs ${wants}, this node runs something else`;
    return new UpdateError(known, message, { detail: { version: wants } });
  }
  return known === undefined
    ? new UpdateError('pair.bad_message', 'the other node refused with an unknown code')
    : new UpdateError(known, `the other node refused: ${CODES[known].title}`);
}

/** The code that the other side is told for an error of ours; null for what it need not know. */
export const refusalCode = (error: UpdateError): Code | null =>
  REFUSALS.find((code) => code === error.code) ?? null;

/** Throws `pair.already_paired` when this node is paired with another key than `spki`. */
export function assertSamePeer(record: PairRecord | null, spki: string): void {
  if (!record || record.peer.spkiSha256 === spki) return;
  throw new UpdateError(
    'pair.already_paired',
    `this node is paired with key ${record.peer.spkiSha256.slice(0, 16)}…, ` +
      `the other node has key ${spki.slice(0, 16)}…`,
    { detail: { expected: record.peer.spkiSha256, found: spki } },
  );
}

/** The error of a pairing that its operator ended. */
export const cancelled = (): UpdateError => new UpdateError('pair.cancelled', 'cancelled');

/** The error of two nodes that cannot be a pair because their ids are equal. */
export const sameNode = (node: NodeId): UpdateError =>
  new UpdateError('pair.same_node', `both nodes are configured as node ${node}`);
