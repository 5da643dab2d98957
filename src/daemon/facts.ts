/**
 * Facts of a node that its reports do not carry, asked for when an update is checked: its wall
 * clock, the room for a bundle, the size of its slots, what its fencer says. What cannot be found
 * out is null, never a guess. Imports core and ports.
 */
import { statfs } from 'node:fs/promises';
import type { Reason } from '../core/records.ts';
import type { Sha256 } from '../core/model.ts';
import { asUpdateError } from '../core/errors.ts';
import { isCode } from '../core/codes.ts';
import type { Depot, Fencer } from '../ports.ts';

/** What one node knows of itself at this moment. */
export interface NodeFacts {
  /** Wall clock in milliseconds. */
  readonly nowMs: number;
  /** Bytes that the bundle in question may take in the depot. */
  readonly freeBytes: number | null;
  readonly slotBytes: { readonly system: number; readonly storage: number } | null;
  readonly fencer: FencerFacts;
  /** The file that stops updates on this node, as a sentence; absent = an older program. */
  readonly inhibited?: string | null;
}

/** How this node can stop its peer; `error` null = the self-test passed, or none is needed. */
export interface FencerFacts {
  readonly policy: 'manual' | 'fence';
  readonly kind: Fencer['kind'];
  readonly error: Reason | null;
}

/** A node without a fencer, on whose words alone a takeover happens. */
export const NO_FENCER: FencerFacts = { policy: 'manual', kind: 'none', error: null };

/** Bytes free in the file system of a folder; null when that cannot be found out. */
export async function diskFree(dir: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/**
 * Room for a bundle: what is free now, and what staging it would remove. The bundle of the newest
 * rollout and what is prepared stay beside it; what the depot holds of the bundle itself is room
 * already.
 */
export async function roomFor(
  bundle: Sha256 | null,
  kept: readonly Sha256[],
  depot: Depot,
  freeBytes: number | null,
): Promise<number | null> {
  if (freeBytes === null) return null;
  const entries = await depot.list();
  const counted = entries.filter(
    (entry) => entry.bundle === bundle || !kept.includes(entry.bundle),
  );
  return counted.reduce((sum, entry) => sum + entry.bytes, freeBytes);
}

/** What the fencer's self-test says; it touches nothing. */
export async function fencerFacts(
  fencer: Fencer,
  policy: 'manual' | 'fence',
  signal: AbortSignal,
): Promise<FencerFacts> {
  const { kind } = fencer;
  if (policy === 'manual') return { policy, kind, error: null };
  try {
    await fencer.selfTest(signal);
    return { policy, kind, error: null };
  } catch (cause) {
    const { code, message } = asUpdateError(cause);
    return { policy, kind, error: { code, message } };
  }
}

/** The facts of a peer, as far as this program understands them; null when it does not. */
export function readFacts(value: unknown): NodeFacts | null {
  if (typeof value !== 'object' || value === null) return null;
  const facts = value as Partial<NodeFacts>;
  if (!Number.isFinite(facts.nowMs)) return null;
  const { freeBytes, slotBytes, fencer, inhibited } = facts;
  const known = Number.isFinite(slotBytes?.system) && Number.isFinite(slotBytes?.storage);
  return {
    nowMs: facts.nowMs as number,
    freeBytes: Number.isFinite(freeBytes) ? (freeBytes as number) : null,
    slotBytes: known ? (slotBytes as NonNullable<NodeFacts['slotBytes']>) : null,
    fencer: readFencer(fencer),
    ...(typeof inhibited === 'string' || inhibited === null ? { inhibited } : {}),
  };
}

function readFencer(value: unknown): FencerFacts {
  const found = value as Partial<FencerFacts> | null | undefined;
  if (found?.policy !== 'fence' || typeof found.kind !== 'string') return NO_FENCER;
  const code = found.error?.code;
  const message = found.error?.message;
  const bad = code !== undefined && typeof message === 'string';
  const error = bad ? { code: isCode(code) ? code : ('fence.self_test' as const), message } : null;
  return { policy: 'fence', kind: found.kind, error };
}
