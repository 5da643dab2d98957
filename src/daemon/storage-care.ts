/**
 * What a person does with the two copies of the store: compare them, make the standby's good, end a
 * split brain. Always holds: a verify and a resync are begun by the node that serves, whichever was
 * asked, and are followed in the status of this node's own store; a split brain ends only for a
 * copy that a person has named, and the node of that copy is the holder before the other copy gives
 * way, so that a power cut in between leaves a split that can be resolved again. Imports core,
 * ports and the updater.
 */
import { UpdateError } from '../core/errors.ts';
import type { NodeId, Progress } from '../core/model.ts';
import { connected, me, onTrial, other, type NodeState } from '../core/state.ts';
import type { Amount, SavedRecords, StorageView, VerifyReport } from '../core/store.ts';
import type { StoreCare } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Runner } from '../updater/runner.ts';
import type { DriverRequests } from './requests.ts';

/** How often the store is looked at. */
const LOOK_MS = 100;
/** A store that tells nothing for so many looks does not tell it any more. */
const SILENT_LOOKS = 100;
const NEVER = new AbortController().signal;

/** Who asks for it, and why. */
export interface Because {
  readonly by: string;
  readonly reason: string;
}

/** What this part of the daemon reaches. */
export interface CareParts {
  readonly runner: Runner;
  readonly requests: DriverRequests;
  readonly care: StoreCare;
  readonly pause?: Pause;
}

/** The two copies of the store, as this node's daemon sees and changes them. */
export class StorageCare {
  readonly #parts: CareParts;
  readonly #pause: Pause;

  constructor(parts: CareParts) {
    this.#parts = parts;
    this.#pause = parts.pause ?? pause;
    parts.requests.storage = async (request) => {
      if (request === 'verify') await parts.care.verify();
      else if (request === 'verify-cancel') await parts.care.cancelVerify();
      else if (request === 'resync') await parts.care.resync();
      else await this.#keepHere();
    };
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  /** What the storage software of this node knows. */
  async view(): Promise<StorageView> {
    return await this.#parts.care.view();
  }

  /** Begins a verify; throws why it cannot be. */
  async beginVerify(): Promise<void> {
    await this.#parts.requests.ask({ do: 'verify' });
  }

  /** Follows a verify to its end; throws `store.differs` when the copies are not equal. */
  async followVerify(
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<string> {
    let quiet = 0;
    for (;;) {
      const { verify } = this.#state.world.store;
      if (verify?.state === 'running') {
        quiet = 0;
        if (verify.progress) onProgress(verify.progress);
      } else if (verify && quiet > 1) break;
      else if ((quiet += 1) > SILENT_LOOKS) throw silent();
      if (signal.aborted) await this.#parts.requests.ask({ do: 'verify-cancel' });
      signal.throwIfAborted();
      await this.#pause(LOOK_MS, NEVER);
    }
    const { verify } = await this.view();
    if (verify === null) throw silent();
    return resultOf(verify);
  }

  /** Begins to make the standby's copy good; it durably counts as stale when this resolves. */
  async beginResync(): Promise<void> {
    await this.#parts.requests.ask({ do: 'resync' });
  }

  /** Waits until both copies are level again. */
  async followResync(
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<string> {
    let begun = false;
    for (let looks = 0; ; looks += 1) {
      const { store } = this.#state.world;
      const level = store.peer === 'current' && store.local === 'current' && store.connected;
      begun ||= !level;
      if (store.sync) onProgress(store.sync);
      // One that was over before it was seen began all the same.
      if (level && (begun || looks > 30)) {
        const sent = store.lastSync?.sentBytes ?? null;
        const what = sent === null ? '' : `; ${bytesText(sent)} differed and were sent`;
        return `both copies are level${what}`;
      }
      if (signal.aborted) {
        throw new UpdateError('job.not_cancellable', 'the standby lags until the resync has ended');
      }
      await this.#pause(LOOK_MS, NEVER);
    }
  }

  /** Throws why the split brain cannot be resolved so here and now. */
  async checkResolve(keep: NodeId): Promise<void> {
    const s = this.#state;
    if (!connected(s)) {
      throw new UpdateError('pair.peer_unreachable', `node ${other(s)} does not answer`);
    }
    const { split } = await this.view();
    if (split === null) {
      throw new UpdateError('store.not_split', 'the two copies of the storage are not split');
    }
    const refusal = keep === me(s) ? keepRefusal(s) : null;
    if (refusal !== null) throw refusal;
  }

  /** Keeps one copy; the other one saves what only it has, and gives way. */
  async resolve(keep: NodeId, because: Because): Promise<string> {
    const s = this.#state;
    if (keep === me(s)) await this.#keepHere();
    else await this.#parts.requests.askPeer({ do: 'keep-copy' });
    return savedText(await this.#parts.care.resolve(keep, because), keep);
  }

  /** This node's copy is kept: it holds the role before the other copy gives way. */
  async #keepHere(): Promise<void> {
    const { runner } = this.#parts;
    const refusal = keepRefusal(runner.state);
    if (refusal !== null) throw refusal;
    await runner.dispatch({ type: 'keep-copy' });
    const { role } = runner.state.record;
    if (role.holder !== me(runner.state)) {
      throw new UpdateError('pair.not_healthy', 'the roles of the nodes changed meanwhile');
    }
  }
}

/** Why this node's copy cannot be the one that is kept. */
function keepRefusal(s: NodeState): UpdateError | null {
  const node = `node ${me(s)}`;
  if (!s.world.store.splitBrain) {
    return new UpdateError('store.not_split', `${node} knows of no split brain`);
  }
  if (onTrial(s)) {
    return new UpdateError('takeover.trial', `${node} runs a version that is on trial`);
  }
  if (s.record.knownStale || s.world.store.local === 'stale') {
    return new UpdateError('store.stale', `the copy of ${node} is known to lack writes`);
  }
  return null;
}

function silent(): UpdateError {
  return new UpdateError('store.unreachable', 'the storage software does not tell how it goes');
}

function resultOf(report: VerifyReport): string {
  const { state, records, bytes, differences, unsettled } = report;
  const seen = `${recordsText({ records, bytes })} compared`;
  const open = unsettled > 0 ? `; ${unsettled} changed all the time and were left out` : '';
  if (state === 'equal' || state === 'repaired') return `${seen}, no difference${open}`;
  if (state === 'differs') {
    const names = report.keys.slice(0, 3).map(({ key }) => key);
    const more = differences > names.length ? ', ...' : '';
    const found = differences === 1 ? '1 record differs' : `${differences} records differ`;
    throw new UpdateError('store.differs', `${seen}: ${found} (${names.join(', ')}${more})${open}`);
  }
  if (state === 'cancelled') throw new UpdateError('job.cancelled', 'the verify was cancelled');
  throw UpdateError.from({
    code: report.code ?? 'store.unreachable',
    message: `the verify could not go on: ${report.message ?? 'no reason is known'}`,
  });
}

function savedText({ node, file, ...amount }: SavedRecords, keep: NodeId): string {
  const head = `the copy of node ${keep} is kept`;
  if (file === null) return `${head}; the copy of node ${node} had nothing beyond it`;
  return `${head}; ${recordsText(amount)} of node ${node} are saved there in ${file}`;
}

/** `12 records, 3456 bytes`. */
function recordsText({ records, bytes }: Amount): string {
  return `${records === 1 ? '1 record' : `${records} records`}, ${bytesText(bytes)}`;
}

const bytesText = (bytes: number): string => (bytes === 1 ? '1 byte' : `${bytes} bytes`);
