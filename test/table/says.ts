/**
 * What `tandem status` says while a pair is not highly available: never that it is, always who
 * serves and what hangs on it, and what to do where nothing happens by itself. Each situation is
 * looked at once it has lasted for two ticks. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import type { NodeReport } from '../../src/core/report.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { pairStatus } from '../../src/updater/status.ts';
import type { Pair } from '../sim/pair.ts';

export class StatusWatch {
  readonly wrong: string[] = [];
  /** Situations that were looked at. */
  looks = 0;
  private readonly pair: Pair;
  private readonly last: Partial<Record<NodeId, { report: NodeReport; atMs: number }>> = {};
  private acknowledged = 0;
  private situation = '';
  private lasted = 0;

  constructor(pair: Pair) {
    this.pair = pair;
  }

  /** After each tick. */
  look(): void {
    const { pair } = this;
    for (const node of NODES) {
      const world = pair.nodes[node].state?.world;
      if (world?.peer != null) this.last[node] = { report: world.peer, atMs: world.peerHeardMs };
    }
    const acks = pair.acknowledged > this.acknowledged;
    this.acknowledged = pair.acknowledged;
    const situation = JSON.stringify([
      available(pair),
      acks,
      pair.serving(),
      NODES.map((node) => [pair.nodes[node].state === null, pair.nodes[node].state?.world.linkUp]),
    ]);
    this.lasted = situation === this.situation ? this.lasted + 1 : 0;
    this.situation = situation;
    if (this.lasted !== 2) return;
    this.looks++;
    for (const node of NODES) {
      const status = this.status(node);
      if (status === null) continue;
      for (const text of complaints(status, pair, acks)) {
        this.wrong.push(`status of ${node} at ${pair.ms} ms: ${text}; said: ${words(status)}`);
      }
    }
  }

  private status(node: NodeId): PairStatus | null {
    const { state } = this.pair.nodes[node];
    if (state === null) return null;
    const { ms } = this.pair;
    return pairStatus(state, this.last[node] ?? null, ms, new Date(ms).toISOString());
  }
}

/** Highly available, and connected: a frozen pair keeps its admission, and acknowledges nothing. */
const available = (pair: Pair): boolean =>
  pair.highlyAvailable() && NODES.every((node) => pair.links.up(node));

const words = ({ state, ha }: PairStatus): string => `${state}: ${ha.text} / ${ha.remedy ?? '-'}`;

function complaints(status: PairStatus, pair: Pair, acks: boolean): string[] {
  const { ha, self, alarms, nodes } = status;
  if (available(pair)) return ha.ok ? [] : ['does not know that it is highly available'];
  if (ha.ok) return ['claims to be highly available'];
  const found: string[] = [];
  const peer = peerOf(self);
  const silent = !nodes[peer].known;
  const missed = alarms.some(({ code, node }) => code === 'pair.peer_unreachable' && node === peer);
  const told = [`node ${peer} is being updated`, `node ${peer} is lost`];
  if (silent && !missed && !told.some((text) => ha.text.includes(text)))
    found.push(`no alarm that node ${peer} does not answer`);
  const serving = pair.serving();
  if (acks && serving !== null && (serving === self || !silent)) {
    const warning = `if node ${serving} fails, service stops until it restarts`;
    if (!ha.text.includes(warning)) found.push(`lacks "${warning}"`);
    return found;
  }
  const out = /acknowledges no write|no service now|not known: this node does not serve/;
  if (!out.test(ha.text)) found.push('does not say that there is no service');
  if ((ha.remedy ?? null) === null) found.push('no remedy');
  return found;
}
