/**
 * What the desk of prepared updates asks of a node: the stages as work that can fail, and the looks
 * that go with them. An interface alone, so that tests can put any fault into any stage. Imports
 * only types of core.
 */
import type { Sha256 } from '../core/model.ts';
import type { Preparation, PrepareOrder, PrepareStage } from '../core/prepare.ts';

/** What a stage found or did. */
export interface StageEnd {
  readonly message: string;
  /** The plan that lies on the disk now. */
  readonly plan?: Sha256;
}

/** What a stage is told. */
export interface StageTask {
  readonly preparation: Preparation;
  readonly signal: AbortSignal;
  /** The preparation with its plan, which the node that serves makes. */
  readonly planned: () => Promise<Preparation>;
}

/** The work itself, on one node. */
export interface PrepareWork {
  /** Does a stage; throws UpdateError when it failed and may be tried again. */
  run(stage: PrepareStage, task: StageTask): Promise<StageEnd>;
  /** The first stage whose result is gone, with what is missing; null when all is there. */
  lost(preparation: Preparation): Promise<{ stage: PrepareStage; message: string } | null>;
  /** The plan of the pair as it is now; throws why there can be none. */
  plan(preparation: Preparation): Promise<NonNullable<PrepareOrder['plan']>>;
  /** Why it does not fit what the nodes run; null = it fits, undefined = not known now. */
  misfit(preparation: Preparation): string | null | undefined;
  /** Whether a stage of this node has to wait for the peer, without having failed. */
  waits(stage: PrepareStage, preparation: Preparation): boolean;
  /** What follows from the record beside the stages, each time it may have changed. */
  follow(preparation: Preparation | null): Promise<void>;
}
