/**
 * What a node keeps of a prepared update, in memory: it outlives a daemon of a test, and takes
 * faults. Imports core and the interface that it implements.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { PreparedPlan } from '../../src/core/prepare-plan.ts';
import type { Preparation } from '../../src/core/prepare.ts';
import { planText, type PrepareDisk } from '../../src/daemon/prepare-disk.ts';

/** The files of one node. */
export class MemoryPrepareDisk implements PrepareDisk {
  /** The record as text, so that nothing is shared with who wrote it. */
  record: string | null = null;
  plan: PreparedPlan | null = null;
  /** Thrown by the next writes while it is set. */
  fault: UpdateError | null = null;
  writes = 0;

  get found(): Preparation | null {
    return this.record === null ? null : (JSON.parse(this.record) as Preparation);
  }

  async write(preparation: Preparation): Promise<void> {
    await Promise.resolve();
    if (this.fault !== null) throw this.fault;
    this.record = JSON.stringify(preparation);
    this.writes += 1;
  }

  async writePlan(content: PreparedPlan, digest: string): Promise<void> {
    await Promise.resolve();
    if (this.fault !== null) throw this.fault;
    if (planText(content).digest !== digest) throw new UpdateError('prepare.plan_lost', 'other');
    this.plan = content;
  }

  async readPlan(digest: string): Promise<PreparedPlan> {
    await Promise.resolve();
    if (this.plan !== null && planText(this.plan).digest === digest) return this.plan;
    throw new UpdateError('prepare.plan_lost', 'there is no such plan on this disk');
  }
}
