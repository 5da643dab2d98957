/**
 * What a client is told of a change before it asks for it: whether it would be accepted, whether it
 * would change anything, and what it would do. Keys are only ever added. Pure types; imports only
 * core.
 */
import type { ErrorReport } from './errors.ts';

/** A change that was judged and not begun. */
export interface ChangePreview {
  /** Job or word of an operator, as in the request. */
  readonly change: string;
  /** Why it would be refused now, or null. */
  readonly refusal: ErrorReport | null;
  /** False when it is so already, and when it would be refused. */
  readonly changes: boolean;
  /** What it would do, one sentence; null when it would be refused. */
  readonly does: string | null;
  /** Seconds that it would take, as far as that is known. */
  readonly estimateS: number | null;
}
