/**
 * Pairing of two nodes: `pairInit` prints a one-time code and waits, `pairJoin` brings the code to
 * it; then each node holds the pin of the other and the same pair id. Always holds: a pin is
 * stored only for a key whose owner proved the code on the same connection; the join side stores
 * first, so after a crash in between at worst that one side is paired. Doing it again is safe at
 * any point: keys are made once, a node that is paired accepts the same peer again, and the pair
 * id that exists is kept. Time is monotonic. Imports core and its own parts.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import {
  createKeys,
  PAIR_SCHEMA,
  peerSpkiSha256,
  readPairRecord,
  tlsOptions,
  writePairRecord,
  type NodeKeys,
  type PairRecord,
} from './keys.ts';
import { brokenBy } from './link-connection.ts';
import type { Endpoint } from './link-tls.ts';
import { decodeCode, encodeCode, newSecret } from './pair-code.ts';
import { Conversation, FIELD, PAIR_PROTOCOL, Proofs, refusalCode } from './pair-protocol.ts';

/** How long a code lives, on the monotonic clock. */
export const CODE_VALID_MS = 600_000;
/** Wrong proofs after which a code is dead. */
export const CODE_TRIES = 5;
const CONNECTIONS_MAX = 16;
const HANDSHAKE_MS = 5000;
/** How often the clock is looked at while waiting. */
const CLOCK_STEP_MS = 1000;

/** A pair as both nodes know it after pairing. */
export interface PairResult {
  readonly pair: string;
  readonly node: NodeId;
  readonly peer: { readonly node: NodeId; readonly spkiSha256: string };
}

export interface PairInitOptions {
  readonly keysDir: string;
  readonly node: NodeId;
  /** Where to wait for the join; port 0 takes a free one. */
  readonly listen: Endpoint;
  /** Ends the waiting with `pair.cancelled`. */
  readonly signal?: AbortSignal;
  readonly validMs?: number;
  readonly tries?: number;
  /** Monotonic clock in milliseconds. */
  readonly monotonicMs?: () => number;
}

export interface PairInit {
  /** For people: seven groups of four digits. */
  readonly code: string;
  readonly address: Endpoint;
  readonly validMs: number;
  readonly tries: number;
  /**
   * The pair once it is stored here. Rejects with `pair.code_wrong` when the code is used up or
   * expired, `pair.same_node`, `pair.already_paired`, `pair.cancelled`, or `file.unreadable`.
   */
  readonly done: Promise<PairResult>;
}

export interface PairJoinOptions {
  readonly keysDir: string;
  readonly node: NodeId;
  /** Where the other node waits. */
  readonly address: Endpoint;
  readonly code: string;
  readonly signal?: AbortSignal;
}

/**
 * Makes the node's keys if there are none and waits for the join. Throws `link.listen_failed`
 * when the address cannot be used, `pair.already_paired` when the node was paired under another
 * node id, and what `createKeys` throws.
 */
export async function pairInit(options: PairInitOptions): Promise<PairInit> {
  if (options.signal?.aborted) throw cancelled();
  const keys = await createKeys(options.keysDir, options.node);
  const record = await ownRecord(options.keysDir, options.node);
  const offer = new Offer(options, keys, record);
  await offer.listen(options.listen);
  return offer;
}

/**
 * Brings the code to the node that waits at `address` and stores the pair. Throws
 * `pair.code_malformed` before anything is sent, `pair.code_wrong`, `pair.already_paired`,
 * `pair.same_node`, `pair.peer_unreachable`, `pair.cancelled`; and `pair.unconfirmed` when this
 * node has stored the pair but does not know whether the other one has.
 */
export async function pairJoin(options: PairJoinOptions): Promise<PairResult> {
  const { keysDir, node, address, signal } = options;
  const secret = decodeCode(options.code);
  const keys = await createKeys(keysDir, node);
  const record = await ownRecord(keysDir, node);
  const socket = await dial(address, keys, signal);
  await using talk = new Conversation(socket);
  const abort = (): void => void socket.destroy(cancelled());
  signal?.addEventListener('abort', abort);
  try {
    return await converse(options, { talk, socket, secret, keys, record });
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

interface Joining {
  readonly talk: Conversation;
  readonly socket: TLSSocket;
  readonly secret: Buffer;
  readonly keys: NodeKeys;
  readonly record: PairRecord | null;
}

async function converse(options: PairJoinOptions, joining: Joining): Promise<PairResult> {
  const { keysDir, node } = options;
  const { talk, socket, record } = joining;
  const spki = peerSpkiSha256(socket) ?? '';
  assertSamePeer(record, spki);
  const hello = await talk.receive('hello', { node: FIELD.node });
  const init = { node: hello.node as NodeId, spki };
  const join = { node, spki: joining.keys.spkiSha256 };
  const proofs = new Proofs(socket, joining.secret, { init, join });
  const earlier = record?.pair ?? '';
  talk.send({ type: 'join', node, pair: earlier, proof: proofs.make('join', earlier) });
  const offer = await talk.receive('offer', { pair: FIELD.pair, proof: FIELD.proof });
  if (!proofs.holds('offer', offer.pair, offer.proof)) {
    throw new UpdateError('pair.code_wrong', 'the other side does not know the code');
  }
  if (init.node === node) throw sameNode(node);
  const result = { pair: offer.pair, node, peer: { node: init.node, spkiSha256: spki } };
  await writePairRecord(keysDir, { schema: PAIR_SCHEMA, ...result });
  try {
    talk.send({ type: 'stored', proof: proofs.make('stored', offer.pair) });
    const done = await talk.receive('done', { proof: FIELD.proof });
    if (proofs.holds('done', offer.pair, done.proof)) return result;
    throw new UpdateError('pair.bad_message', 'its confirmation is not valid');
  } catch (cause) {
    const message = `node ${init.node} did not confirm: ${asUpdateError(cause).message}`;
    throw new UpdateError('pair.unconfirmed', message, { cause });
  }
}

/** A code that waits for its join. */
class Offer implements PairInit {
  readonly code: string;
  readonly validMs: number;
  readonly tries: number;
  readonly done: Promise<PairResult>;
  address: Endpoint = { host: '', port: 0 };
  readonly #options: PairInitOptions;
  readonly #keys: NodeKeys;
  readonly #record: PairRecord | null;
  readonly #secret = newSecret();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #now: () => number;
  readonly #deadlineMs: number;
  readonly #clock: NodeJS.Timeout;
  readonly #settle: PromiseWithResolvers<PairResult>;
  readonly #abort = (): void => this.#finish(cancelled());
  #triesLeft: number;
  /** A conversation that proved the code is under way; no other is listened to meanwhile. */
  #claimed = false;
  #outcome: PairResult | UpdateError | null = null;

  constructor(options: PairInitOptions, keys: NodeKeys, record: PairRecord | null) {
    this.#options = options;
    this.#keys = keys;
    this.#record = record;
    this.code = encodeCode(this.#secret);
    this.validMs = options.validMs ?? CODE_VALID_MS;
    this.tries = options.tries ?? CODE_TRIES;
    this.#triesLeft = this.tries;
    this.#settle = Promise.withResolvers();
    this.done = this.#settle.promise;
    // Whoever called may look at it later; until then a rejection is not an unhandled one.
    this.done.catch(() => undefined);
    this.#now = options.monotonicMs ?? (() => performance.now());
    this.#deadlineMs = this.#now() + this.validMs;
    this.#clock = setInterval(() => this.#expired(), Math.min(CLOCK_STEP_MS, this.validMs));
    this.#server = createServer(
      { ...tlsOptions(keys), ALPNProtocols: [PAIR_PROTOCOL], handshakeTimeout: HANDSHAKE_MS },
      (socket) => void this.#serve(socket),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      if (this.#outcome) socket.destroy();
    });
    options.signal?.addEventListener('abort', this.#abort);
  }

  async listen({ host, port }: Endpoint): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('listening', resolve);
    this.#server.once('error', reject);
    this.#server.listen(port, host);
    try {
      await promise;
    } catch (cause) {
      const message = `cannot listen on ${host}:${port}: ${asUpdateError(cause).message}`;
      const error = new UpdateError('link.listen_failed', message, { cause });
      this.#finish(error);
      throw error;
    }
    const address = this.#server.address();
    if (typeof address === 'object' && address) this.address = { host, port: address.port };
  }

  async #serve(socket: TLSSocket): Promise<void> {
    {
      await using talk = new Conversation(socket);
      try {
        await this.#converse(socket, talk);
      } catch (cause) {
        const code = refusalCode(asUpdateError(cause));
        if (code !== null) talk.send({ type: 'refused', code });
      }
    }
    if (this.#outcome) this.#shutDown();
  }

  async #converse(socket: TLSSocket, talk: Conversation): Promise<void> {
    const { node, keysDir } = this.#options;
    const spki = peerSpkiSha256(socket);
    if (spki === null || socket.alpnProtocol !== PAIR_PROTOCOL) return;
    talk.send({ type: 'hello', node });
    const fields = { node: FIELD.node, pair: FIELD.earlierPair, proof: FIELD.proof };
    const join = await talk.receive('join', fields);
    const peer = { node: join.node as NodeId, spki };
    const init = { node, spki: this.#keys.spkiSha256 };
    const proofs = new Proofs(socket, this.#secret, { init, join: peer });
    this.#judge(proofs.holds.bind(proofs, 'join', join.pair, join.proof));
    this.#assertWanted(peer);
    this.#claimed = true;
    try {
      const pair = this.#record?.pair || join.pair || randomBytes(16).toString('hex');
      talk.send({ type: 'offer', pair, proof: proofs.make('offer', pair) });
      const stored = await talk.receive('stored', { proof: FIELD.proof });
      if (!proofs.holds('stored', pair, stored.proof)) return;
      const result = { pair, node, peer: { node: peer.node, spkiSha256: spki } };
      await writePairRecord(keysDir, { schema: PAIR_SCHEMA, ...result });
      this.#outcome ??= result;
      talk.send({ type: 'done', proof: proofs.make('done', pair) });
    } catch (error) {
      if (asUpdateError(error).code === 'file.unreadable') this.#outcome ??= asUpdateError(error);
      throw error;
    } finally {
      this.#claimed = false;
    }
  }

  /** Throws `pair.code_wrong` unless the code lives and the proof holds; counts the tries. */
  #judge(holds: () => boolean): void {
    if (this.#expired() || this.#outcome || this.#claimed) {
      throw new UpdateError('pair.code_wrong', 'the code is used up, in use or expired');
    }
    if (holds()) return;
    this.#triesLeft -= 1;
    const message = `${this.tries} wrong codes were tried; this code is dead`;
    if (this.#triesLeft === 0) this.#outcome = new UpdateError('pair.code_wrong', message);
    throw new UpdateError('pair.code_wrong', `wrong code, ${this.#triesLeft} tries left`);
  }

  /** Ends the offer when the node that proved the code cannot be the peer. */
  #assertWanted(peer: { readonly node: NodeId; readonly spki: string }): void {
    try {
      if (peer.node === this.#options.node) throw sameNode(peer.node);
      assertSamePeer(this.#record, peer.spki);
    } catch (error) {
      this.#outcome = asUpdateError(error);
      throw error;
    }
  }

  /** Ends the offer once its time is over, but not in the middle of a good conversation. */
  #expired(): boolean {
    if (this.#claimed || this.#now() < this.#deadlineMs) return false;
    const validS = Math.round(this.validMs / 1000);
    this.#outcome ??= new UpdateError(
      'pair.code_wrong',
      `no join within ${validS} s; code expired`,
    );
    if (this.#sockets.size === 0) this.#shutDown();
    return true;
  }

  #finish(error: UpdateError): void {
    this.#outcome ??= error;
    this.#shutDown();
  }

  #shutDown(): void {
    clearInterval(this.#clock);
    this.#options.signal?.removeEventListener('abort', this.#abort);
    const settle = (): void => {
      const outcome = this.#outcome;
      if (outcome instanceof UpdateError) this.#settle.reject(outcome);
      else if (outcome) this.#settle.resolve(outcome);
    };
    this.#server.close(settle);
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The record of an earlier pairing; it must be of this node id. */
async function ownRecord(keysDir: string, node: NodeId): Promise<PairRecord | null> {
  const record = await readPairRecord(keysDir);
  if (!record || record.node === node) return record;
  const message = `this node was paired as node ${record.node}, the configuration says ${node}`;
  throw new UpdateError('pair.already_paired', message);
}

function assertSamePeer(record: PairRecord | null, spki: string): void {
  if (!record || record.peer.spkiSha256 === spki) return;
  throw new UpdateError(
    'pair.already_paired',
    `this node is paired with key ${record.peer.spkiSha256.slice(0, 16)}…, ` +
      `the other node has key ${spki.slice(0, 16)}…`,
    { detail: { expected: record.peer.spkiSha256, found: spki } },
  );
}

async function dial(
  { host, port }: Endpoint,
  keys: NodeKeys,
  signal: AbortSignal | undefined,
): Promise<TLSSocket> {
  if (signal?.aborted) throw cancelled();
  const socket = connect({ ...tlsOptions(keys), host, port, ALPNProtocols: [PAIR_PROTOCOL] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => void socket.destroy(cancelled());
  const late = (): void => void socket.destroy(new Error(`no answer within ${HANDSHAKE_MS} ms`));
  const timer = setTimeout(late, HANDSHAKE_MS);
  signal?.addEventListener('abort', abort);
  socket.once('secureConnect', resolve).once('error', reject);
  try {
    await promise;
    if (socket.alpnProtocol === PAIR_PROTOCOL) return socket;
    throw new Error('no pairing is waiting there');
  } catch (cause) {
    socket.destroy();
    const error = brokenBy(cause);
    if (error.code === 'pair.cancelled') throw error;
    const message = `${host}:${port}: ${error.message}`;
    throw new UpdateError('pair.peer_unreachable', message, { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

const cancelled = (): UpdateError => new UpdateError('pair.cancelled', 'cancelled');

const sameNode = (node: NodeId): UpdateError =>
  new UpdateError('pair.same_node', `both nodes are configured as node ${node}`);
