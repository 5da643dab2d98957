/**
 * What a client is told of a restart and of a shutdown of one node before it asks for them: whether
 * they are possible, what happens to the service, what it costs. Keys are only ever added. Pure
 * types; imports only core.
 */
import type { Code } from './codes.ts';
import type { NodeId } from './model.ts';

/** The end of a boot: with a next one at once, or when somebody switches the node on again. */
export type PowerKind = 'restart' | 'shutdown';

/** What one of the two would do on the node that is asked, at this moment. */
export interface PowerView {
  readonly kind: PowerKind;
  readonly node: NodeId;
  /** Why it is refused, or null when it may be asked for. */
  readonly refusal: { readonly code: Code; readonly message: string; readonly next: string } | null;
  /** True when `force` gets past the refusal; see `costs` for what that means. */
  readonly forceable: boolean;
  /** The node that takes the service over first; null when none has to. */
  readonly handsOverTo: NodeId | null;
  /** What happens, one sentence. */
  readonly does: string;
  /** What it costs, a sentence each; with `force` where it is refused without. */
  readonly costs: readonly string[];
  /** What a person types to confirm it: the name of the node. */
  readonly word: string;
}

/** Answer to `GET /v1/power`. */
export type PowerViews = Readonly<Record<PowerKind, PowerView>>;
