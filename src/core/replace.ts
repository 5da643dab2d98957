/**
 * The replacement of a node: what a new node says that it runs, whether that is what the pair runs,
 * and when the node that serves may take another one in its peer's place (docs/ARCHITECTURE.md,
 * "Replacing a node"). Always holds: only a node that serves alone, and counts on it durably that
 * its peer cannot take over, gives the peer's place away. Pure; imports only core.
 */
import { UpdateError } from './errors.ts';
import type { NodeId } from './model.ts';
import { serves } from './role.ts';
import { connected, me, onTrial, other, type NodeState } from './state.ts';
import type { JobStatus } from './status.ts';

/** Version word and ordering number of one component. */
export interface RunsRelease {
  readonly version: string;
  readonly counter: number;
}

/** What a node runs, as it tells while it is paired; null where it does not know it. */
export interface Runs {
  readonly system: RunsRelease | null;
  readonly storage: RunsRelease | null;
}

/** Longest text of `Runs`. */
export const RUNS_CHARS_MAX = 1000;
/** What a version may look like that comes from another node. */
const VERSION = /^[0-9A-Za-z.+-]{1,64}$/;

/** Answer to `POST /v1/pair/replace`: what the new node needs, told to the one who asked alone. */
export interface ReplaceOffer {
  readonly job: JobStatus;
  /** For people: seven groups of four digits. */
  readonly code: string;
  /** Where this node waits for the new one. */
  readonly host: string;
  readonly port: number;
  /** Seconds that the code lives, and wrong codes that end it. */
  readonly validS: number;
  readonly tries: number;
  /** The node that is replaced, and the version that the new one must run. */
  readonly node: NodeId;
  readonly version: string | null;
}

/** The text of `Runs` as it travels. */
export const runsText = ({ system, storage }: Runs): string => JSON.stringify({ system, storage });

/** What another node said; null for a text that does not say it. */
export function parseRuns(text: unknown): Runs | null {
  if (typeof text !== 'string' || text.length > RUNS_CHARS_MAX) return null;
  try {
    const value = JSON.parse(text) as Partial<Runs> | null;
    const { system = null, storage = null } = value ?? {};
    return { system: releaseOf(system), storage: releaseOf(storage) };
  } catch {
    return null;
  }
}

function releaseOf(value: RunsRelease | null): RunsRelease | null {
  if (value === null || typeof value !== 'object') return null;
  const { version, counter } = value;
  const good = typeof version === 'string' && VERSION.test(version);
  return good && Number.isSafeInteger(counter) ? { version, counter } : null;
}

/** Why a node that runs `found` cannot have a place beside one that runs `wanted`, or null. */
export function otherVersion(wanted: Runs, found: Runs | null): string | null {
  for (const part of ['system', 'storage'] as const) {
    const must = wanted[part];
    if (must === null) continue;
    const is = found?.[part] ?? null;
    if (is?.version === must.version && is.counter === must.counter) continue;
    const has = is === null ? 'does not say what it runs' : `runs ${is.version} (${is.counter})`;
    return `the new node ${has} as ${part}, the pair runs ${must.version} (${must.counter})`;
  }
  return null;
}

/** What this node runs: a new peer must run the same. */
export const runsOf = ({ world }: NodeState): Runs => ({
  system: world.system,
  storage: world.storage?.release ?? null,
});

const refused = (message: string): UpdateError => new UpdateError('replace.refused', message);

/** Why the peer cannot be replaced from this node and now, or null. */
export function replaceRefusal(s: NodeState, named: NodeId): UpdateError | null {
  const [own, peer] = [me(s), other(s)];
  if (named !== peer) {
    return refused(`this is node ${own}: only its peer, node ${peer}, can be replaced from here`);
  }
  if (connected(s) || s.world.linkUp || s.world.store.connected) {
    return refused(`node ${peer} answers; switch it off and take it out first`);
  }
  if (onTrial(s)) return refused(`node ${own} runs a version that is on trial`);
  if (!serves(s)) {
    const word = 'tandem takeover';
    return refused(`node ${own} does not serve; if node ${peer} is off for sure: ${word}`);
  }
  if (s.record.role.peerMayTakeOver || s.world.store.frozen) {
    return refused(`node ${peer} is not known to be off yet, so it may have taken over`);
  }
  if (s.world.system === null) return refused(`node ${own} does not know what version it runs`);
  return null;
}
