/**
 * The keys of a paired node for a process that runs while its peer may be replaced: the pin is what
 * `pair.json` says when a connection is judged, so that a revoked key is out from that moment on.
 * Always holds: own key, node and pair id never change; a record that cannot be read, or is another
 * pair's, changes nothing. Imports core and its own parts.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { loadKeys, readPairRecord, writePairRecord, type PairKeys } from './keys.ts';

/** Keys whose pin follows the record of the pairing. */
export type LiveKeys = Required<PairKeys>;

/** Throws as `loadKeys` does; `log` is told why a record is not taken. */
export async function openLiveKeys(
  keysDir: string,
  log: (line: string) => void = () => {},
): Promise<LiveKeys> {
  const own = await loadKeys(keysDir);
  let pin = own.peerSpkiSha256;
  let revoked = own.revoked ?? [];
  let told = '';
  const read = async (): Promise<void> => {
    try {
      const record = await readPairRecord(keysDir);
      if (record?.pair !== own.pair || record.node !== own.node) return;
      pin = record.peer.spkiSha256;
      revoked = record.revoked?.map(({ spkiSha256 }) => spkiSha256) ?? [];
    } catch (error) {
      const { message } = asUpdateError(error);
      if (message !== told) log(`the pairing is kept as it was read before: ${message}`);
      told = message;
    }
  };
  return {
    ...own,
    get peerSpkiSha256() {
      return pin;
    },
    get revoked() {
      return revoked;
    },
    refresh: read,
  };
}

/**
 * The peer has another node in this one's place: durable, so that this node serves at no later
 * start either. Idempotent; throws `state.io`.
 */
export async function markReplaced(keysDir: string, at: string): Promise<void> {
  const record = await readPairRecord(keysDir);
  if (record === null || record.replacedAt !== undefined) return;
  await writePairRecord(keysDir, { ...record, replacedAt: at });
}

/** Throws `pair.replaced` when this node knows that another one has its place. */
export async function assertNotReplaced(keysDir: string): Promise<void> {
  const at = (await readPairRecord(keysDir))?.replacedAt;
  if (at === undefined) return;
  const message = `another node has had the place of this one in its pair since ${at}`;
  throw new UpdateError('pair.replaced', message);
}
