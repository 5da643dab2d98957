/**
 * The side of a pairing that waits: the one-time code, its tries and its time, and the pin that it
 * stores in the end. Always holds: one conversation at a time can be past the proof of the code;
 * a wrong proof costs a try whoever brings it; the code is dead once a pair is stored, the tries
 * are used, the time is over or the waiting was cancelled; the outcome is decided once. Imports
 * core and its own parts.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { otherVersion, parseRuns, type Runs } from '../core/replace.ts';
import {
  PAIR_SCHEMA,
  peerSpkiSha256,
  REVOKED_MAX,
  tlsOptions,
  writePairRecord,
  type NodeKeys,
  type PairRecord,
} from './keys.ts';
import type { Endpoint } from './link-tls.ts';
import { encodeCode, newSecret } from './pair-code.ts';
import { Conversation, FIELD, PAIR_PROTOCOL, Proofs, refusalCode } from './pair-protocol.ts';
import { assertSamePeer, cancelled, sameNode } from './pair-protocol.ts';

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

/** Where a node waits to be joined, and how long. */
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
  /** The node that joins takes the place of the peer; without it a peer is never exchanged. */
  readonly replace?: ReplacePeer;
}

/** What a pairing that exchanges the peer holds the new node to. */
export interface ReplacePeer {
  /** What the new node must run. */
  readonly wanted: Runs;
  /** Throws when the peer may not be replaced any more; asked right before its key is revoked. */
  readonly check: () => void;
  /** Wall-clock time of the revocation, for people. */
  readonly at: () => string;
}

/** A pairing that waits: the code to show, and how it ends. */
export interface PairInit {
  /** For people: seven groups of four digits. */
  readonly code: string;
  readonly address: Endpoint;
  readonly validMs: number;
  readonly tries: number;
  /**
   * The pair once it is stored here. Rejects with `pair.code_wrong` when the code is used up or
   * expired, `pair.same_node`, `pair.already_paired`, `pair.cancelled`, or `state.io`.
   */
  readonly done: Promise<PairResult>;
}

/** The node that joins, as it proved and said. */
interface Joiner {
  readonly node: NodeId;
  readonly spki: string;
  readonly runs: Runs | null;
}

/** Throws `pair.key_revoked` for a node that was replaced before, `pair.other_version`. */
function assertMayReplace(record: PairRecord | null, joiner: Joiner, wanted: Runs): void {
  if (record?.revoked?.some(({ spkiSha256 }) => spkiSha256 === joiner.spki) === true) {
    const message = `key ${joiner.spki.slice(0, 16)}… of node ${joiner.node} was revoked`;
    throw new UpdateError('pair.key_revoked', message);
  }
  const other = otherVersion(wanted, joiner.runs);
  if (other !== null) throw new UpdateError('pair.other_version', other);
}

/** A field that a message may have besides those that it must have. */
const fieldOf = (message: object, name: string): unknown =>
  (message as Readonly<Record<string, unknown>>)[name];

/** What the node that waits has: its keys, an earlier pairing, and the lock on both. */
export interface OwnState {
  readonly keys: NodeKeys;
  readonly record: PairRecord | null;
  readonly lock: AsyncDisposable;
}

/**
 * A code that waits for its join. Call `listen` once; from its return on the offer ends by itself
 * and then gives the lock back.
 */
export class Offer implements PairInit {
  readonly code: string;
  readonly validMs: number;
  readonly tries: number;
  readonly done: Promise<PairResult>;
  address: Endpoint = { host: '', port: 0 };
  readonly #options: PairInitOptions;
  readonly #keys: NodeKeys;
  readonly #record: PairRecord | null;
  readonly #lock: AsyncDisposable;
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

  constructor(options: PairInitOptions, own: OwnState) {
    this.#options = options;
    this.#keys = own.keys;
    this.#record = own.record;
    this.#lock = own.lock;
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
      { ...tlsOptions(own.keys), ALPNProtocols: [PAIR_PROTOCOL], handshakeTimeout: HANDSHAKE_MS },
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
        const version = this.#options.replace?.wanted.system?.version;
        const wants = version === undefined ? {} : { wants: version };
        if (code !== null) talk.send({ type: 'refused', code, ...wants });
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
    const peer = { node: join.node as NodeId, spki, runs: parseRuns(fieldOf(join, 'runs')) };
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
      this.#options.replace?.check();
      await writePairRecord(keysDir, { schema: PAIR_SCHEMA, ...result, ...this.#revoked(spki) });
      this.#outcome ??= result;
      talk.send({ type: 'done', proof: proofs.make('done', pair) });
    } catch (error) {
      const { code } = asUpdateError(error);
      if (code === 'state.io' || code === 'replace.refused') this.#outcome ??= asUpdateError(error);
      throw error;
    } finally {
      this.#claimed = false;
    }
  }

  /** The keys that are out from now on, with that of a peer that this one replaces. */
  #revoked(spki: string): Pick<PairRecord, 'revoked'> {
    const { replace } = this.#options;
    const old = this.#record?.peer.spkiSha256;
    const before = this.#record?.revoked ?? [];
    if (replace === undefined || old === undefined || old === spki) {
      return before.length === 0 ? {} : { revoked: before };
    }
    return { revoked: [...before, { spkiSha256: old, at: replace.at() }].slice(-REVOKED_MAX) };
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
  #assertWanted(peer: Joiner): void {
    const { replace } = this.#options;
    try {
      if (peer.node === this.#options.node) throw sameNode(peer.node);
      if (replace === undefined) assertSamePeer(this.#record, peer.spki);
      else assertMayReplace(this.#record, peer, replace.wanted);
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
    const settle = async (): Promise<void> => {
      await this.#lock[Symbol.asyncDispose]();
      const outcome = this.#outcome;
      if (outcome instanceof UpdateError) this.#settle.reject(outcome);
      else if (outcome) this.#settle.resolve(outcome);
    };
    this.#server.close(() => void settle());
    for (const socket of this.#sockets) socket.destroy();
  }
}
