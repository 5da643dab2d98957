/**
 * Pairing of two nodes: `pairInit` prints a one-time code and waits, `pairJoin` brings the code to
 * it; then each node holds the pin of the other and the same pair id. Always holds: a pin is
 * stored only for a key whose owner proved the code on the same connection; the join side stores
 * first, so after a crash in between at worst that one side is paired. Doing it again is safe at
 * any point: keys are made once, a node that is paired accepts the same peer again, and the pair
 * id that exists is kept. Time is monotonic. Imports core and its own parts.
 */
import { connect, type TLSSocket } from 'node:tls';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { runsText, type Runs } from '../core/replace.ts';
import {
  createKeys,
  makeKeysDir,
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
import { decodeCode } from './pair-code.ts';
import { Offer, type PairInit, type PairInitOptions, type PairResult } from './pair-offer.ts';
import { Conversation, FIELD, PAIR_PROTOCOL, Proofs } from './pair-protocol.ts';
import { assertSamePeer, cancelled, sameNode } from './pair-protocol.ts';
import { lockState } from './state-lock.ts';

export { CODE_TRIES, CODE_VALID_MS } from './pair-offer.ts';
export type { PairInit, PairInitOptions, PairResult, ReplacePeer } from './pair-offer.ts';

/** Longest time for connecting and the handshake together. */
const HANDSHAKE_MS = 5000;

/** Whom to join, with which code. */
export interface PairJoinOptions {
  readonly keysDir: string;
  readonly node: NodeId;
  /** Where the other node waits. */
  readonly address: Endpoint;
  readonly code: string;
  /** What this node runs: who replaces a node must run the same as its pair. */
  readonly runs?: Runs;
  readonly signal?: AbortSignal;
}

/**
 * Makes the node's keys if there are none and waits for the join. Throws `link.listen_failed`
 * when the address cannot be used, `pair.already_paired` when the node was paired under another
 * node id, `state.locked` while another pairing of this node is under way, and what `createKeys`
 * throws.
 */
export async function pairInit(options: PairInitOptions): Promise<PairInit> {
  if (options.signal?.aborted) throw cancelled();
  await makeKeysDir(options.keysDir);
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(await lockState(options.keysDir));
  const keys = await createKeys(options.keysDir, options.node);
  const record = await ownRecord(options.keysDir, options.node);
  const offer = new Offer(options, { keys, record, lock });
  await offer.listen(options.listen);
  // From here on the offer gives the lock back, when it ends.
  stack.move();
  return offer;
}

/**
 * Brings the code to the node that waits at `address` and stores the pair. Throws
 * `pair.code_malformed` before anything is sent, `pair.code_wrong`, `pair.already_paired`,
 * `pair.same_node`, `pair.peer_unreachable`, `pair.cancelled`, and where it is to replace a node
 * `pair.other_version`, `pair.key_revoked`, `replace.refused`; and `pair.unconfirmed` when this
 * node has stored the pair but does not know whether the other one has.
 */
export async function pairJoin(options: PairJoinOptions): Promise<PairResult> {
  const { keysDir, node, address, signal } = options;
  const secret = decodeCode(options.code);
  await makeKeysDir(keysDir);
  await using stack = new AsyncDisposableStack();
  stack.use(await lockState(keysDir));
  const keys = await createKeys(keysDir, node);
  const record = await ownRecord(keysDir, node);
  const socket = await dial(address, keys, signal);
  const talk = stack.use(new Conversation(socket));
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
  const runs = runsText(options.runs ?? { system: null, storage: null });
  talk.send({ type: 'join', node, pair: earlier, proof: proofs.make('join', earlier), runs });
  const offer = await talk.receive('offer', { pair: FIELD.pair, proof: FIELD.proof });
  if (!proofs.holds('offer', offer.pair, offer.proof)) {
    throw new UpdateError('pair.code_wrong', 'the other side does not know the code');
  }
  if (init.node === node) throw sameNode(node);
  const result = { pair: offer.pair, node, peer: { node: init.node, spkiSha256: spki } };
  const revoked = record?.revoked === undefined ? {} : { revoked: record.revoked };
  await writePairRecord(keysDir, { schema: PAIR_SCHEMA, ...result, ...revoked });
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

/** The record of an earlier pairing; it must be of this node id. */
async function ownRecord(keysDir: string, node: NodeId): Promise<PairRecord | null> {
  const record = await readPairRecord(keysDir);
  if (!record || record.node === node) return record;
  const message = `this node was paired as node ${record.node}, the configuration says ${node}`;
  throw new UpdateError('pair.already_paired', message);
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
    throw new Error('what answers there is not a Tandem node');
  } catch (cause) {
    socket.destroy();
    const error = brokenBy(cause);
    if (error.code === 'pair.cancelled') throw error;
    // The alert of a Tandem node that is there, but for its link or not for pairing at all.
    const other = /NO_APPLICATION_PROTOCOL/.test((cause as NodeJS.ErrnoException).code ?? '');
    const reason = other ? 'a node answers, but no `pair init` waits there' : error.message;
    throw new UpdateError('pair.peer_unreachable', `${host}:${port}: ${reason}`, { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
