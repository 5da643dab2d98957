/**
 * What a person asks of a pair of stores in memory: compares both copies at once, repairs, ends a
 * split brain. Always holds: the same refusals as the storage software; what a copy had beyond the
 * kept one stays in `saved`. Imports core, ports and the store in memory.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import type { SavedRecords, SplitSide, StorageView, VerifyReport } from '../../src/core/store.ts';
import type { StoreCare } from '../../src/ports.ts';
import type { MemoryStorePair } from './store.ts';

const AT = '2026-11-21T11:35:48.000Z';

/** The copies of one pair; both nodes see the same newest verify. */
export class MemoryStoreCare {
  readonly #pair: MemoryStorePair;
  report: VerifyReport | null = null;
  /** What was saved of a copy that gave way. */
  readonly saved: ReadonlyMap<string, string>[] = [];

  constructor(pair: MemoryStorePair) {
    this.#pair = pair;
  }

  of(node: NodeId): StoreCare {
    return {
      view: () => Promise.resolve().then(() => this.#view(node)),
      verify: () => Promise.resolve().then(() => this.#verify(node)),
      cancelVerify: () => Promise.resolve(),
      resync: () => Promise.resolve().then(() => this.#resync(node)),
      resolve: (keep) => Promise.resolve().then(() => this.#resolve(keep)),
    };
  }

  #view(node: NodeId): StorageView {
    const { splitBrain } = this.#pair.store(node).status();
    const view = { A: this.#side('A'), B: this.#side('B'), keys: [] };
    return { verify: this.report, split: splitBrain ? view : null };
  }

  #side(node: NodeId): SplitSide {
    const [mine, theirs] = [this.#pair.contents(node), this.#pair.contents(peerOf(node))];
    const amount = (which: (key: string, value: string) => boolean) => {
      const found = [...mine].filter(([key, value]) => which(key, value));
      const bytes = found.reduce((sum, [, value]) => sum + value.length, 0);
      return { records: found.length, bytes };
    };
    return {
      epoch: this.#pair.store(node).status().epoch,
      aloneSince: AT,
      all: amount(() => true),
      only: amount((key) => !theirs.has(key)),
      other: amount((key, value) => theirs.has(key) && theirs.get(key) !== value),
    };
  }

  #primary(node: NodeId): void {
    const { role, peer } = this.#pair.store(node).status();
    if (role !== 'primary') throw new UpdateError('store.read_only', `${node} is not the primary`);
    if (peer !== 'current') throw new UpdateError('pair.not_healthy', 'the peer is not level');
  }

  #verify(node: NodeId): VerifyReport {
    this.#primary(node);
    const [mine, theirs] = [this.#pair.contents(node), this.#pair.contents(peerOf(node))];
    const keys = [...new Set([...mine.keys(), ...theirs.keys()])];
    const differing = keys.filter((key) => mine.get(key) !== theirs.get(key));
    const held = (of: NodeId, key: string) =>
      this.#pair.contents(of).has(key) ? ('present' as const) : ('absent' as const);
    this.report = {
      id: `verify-${keys.length}`,
      state: differing.length > 0 ? 'differs' : 'equal',
      node,
      startedAt: AT,
      endedAt: AT,
      records: mine.size,
      bytes: 0,
      totalBytes: 0,
      rateBps: null,
      etaS: null,
      again: differing.length,
      unsettled: 0,
      differences: differing.length,
      keys: differing.map((key) => ({ key, A: held('A', key), B: held('B', key) })),
      damaged: { A: 0, B: 0 },
      code: null,
      message: null,
    };
    const { id, state, differences } = this.report;
    this.#pair.verified({ id, state, differences, progress: null });
    return this.report;
  }

  #resync(node: NodeId): void {
    this.#primary(node);
    this.#pair.resync();
    if (this.report === null) return;
    this.report = { ...this.report, state: 'repaired' };
    this.#pair.verified({ id: this.report.id, state: 'repaired', differences: 0, progress: null });
  }

  #resolve(keep: NodeId): SavedRecords {
    const loser = peerOf(keep);
    if (!this.#pair.store(keep).status().splitBrain) {
      throw new UpdateError('store.not_split', 'the copies are not split');
    }
    const [kept, lost] = [this.#pair.contents(keep), this.#pair.contents(loser)];
    const beyond = new Map([...lost].filter(([key, value]) => kept.get(key) !== value));
    this.saved.push(beyond);
    this.#pair.giveWay(loser);
    const bytes = [...beyond.values()].reduce((sum, value) => sum + value.length, 0);
    const file = beyond.size === 0 ? null : `/saved-${loser}`;
    return { node: loser, file, records: beyond.size, bytes };
  }
}
