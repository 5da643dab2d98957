/**
 * What the daemon offers to its control server: the one interface between the protocol on the
 * socket and the node that answers. Imports only core.
 */
import type { NodeId } from '../core/model.ts';
import type { Order, RolloutRecord } from '../core/records.ts';
import type {
  JobStatus,
  PairStatus,
  SlotStatus,
  TandemEvent,
  ValidateReport,
} from '../core/status.ts';

/** A change that a client asks for; each becomes a job. */
export type JobRequest =
  | { readonly kind: 'stage'; readonly path: string }
  | {
      readonly kind: 'update';
      /** Absolute path of a bundle file, or the id (digest) of a staged bundle. */
      readonly source: { readonly path: string } | { readonly bundle: string };
      readonly order?: Order;
      readonly onSecondFailure?: 'hold' | 'rollback';
    }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'commit' };

/** Who asked, for the audit log: user id of the socket's other end is enough in this version. */
export interface Caller {
  readonly name: string;
}

/** The node behind the control socket. */
export interface ControlBackend {
  status(): PairStatus;
  slots(): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>>;
  /** Finished and running rollouts, newest first, at most `limit`. */
  history(limit: number): Promise<readonly RolloutRecord[]>;
  /** Every check of a bundle against this pair; writes nothing. */
  validate(path: string, signal: AbortSignal): Promise<ValidateReport>;
  /** Accepts a change and returns its running job; throws the refusal. */
  start(request: JobRequest, caller: Caller): Promise<JobStatus>;
  jobs(): readonly JobStatus[];
  /** Throws `job.unknown`. */
  job(id: string): JobStatus;
  cancel(id: string, caller: Caller): Promise<JobStatus>;
  /** Kept events with seq > since, oldest first; then every new one while `follow` lives. */
  eventsSince(since: number): readonly TandemEvent[];
  onEvent(listener: (event: TandemEvent) => void): () => void;
}
