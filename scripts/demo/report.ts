/**
 * What a run of the demo found, as data, as lines for people, and the judgement whether it ended as
 * it had to. Always holds: the judgement is made from what the pair and the client say, never from
 * what the demo did. Imports core.
 */
import { phaseWords } from '../../src/cli/render-rollout.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { Phase, RolloutRecord } from '../../src/core/records.ts';
import type { PairStatus } from '../../src/core/status.ts';
import type { ClientResult } from './client.ts';
import type { Voice } from './say.ts';
import type { EndVersions, Scenario } from './scenarios.ts';

/** One phase of the rollout with the time that it took. */
export interface PhaseTime {
  readonly phase: Phase;
  /** The phase in words. */
  readonly words: string;
  /** Since the rollout began. */
  readonly atS: number;
  /** Until the next phase began; null for the last one. */
  readonly tookS: number | null;
}

/** Result of a run, as `--json` prints it. */
export interface DemoReport {
  readonly schema: 1;
  readonly scenario: string;
  /** True when everything ended as it had to. */
  readonly ok: boolean;
  /** Exit status of `tandem update`. */
  readonly exit: number;
  readonly expectedExit: number;
  /** What was not as it had to be; empty when `ok`. */
  readonly faults: readonly string[];
  readonly versions: {
    readonly before: Readonly<Record<NodeId, EndVersions>>;
    readonly after: Readonly<Record<NodeId, EndVersions>>;
  };
  readonly highlyAvailable: boolean;
  /** How often each appliance booted. */
  readonly boots: Readonly<Record<NodeId, number>>;
  readonly phases: readonly PhaseTime[];
  /** Why the rollout ended as it did, in the updater's words. */
  readonly reason: string | null;
  readonly updateS: number;
  readonly client: ClientResult;
  /** The pair's folder when it was kept. */
  readonly kept: string | null;
}

/** Everything that the judgement needs. */
export interface Findings {
  readonly scenario: Scenario;
  readonly exit: number;
  readonly before: PairStatus;
  readonly after: PairStatus;
  /** The newest rollout, or null when none was started. */
  readonly rollout: RolloutRecord | null;
  readonly boots: Readonly<Record<NodeId, number>>;
  /** Nodes whose daemon does not run the Node that was unpacked from the booted slot. */
  readonly strangers: readonly NodeId[];
  /** What `tandem cluster status` said last. */
  readonly ready: boolean;
  readonly updateS: number;
  readonly client: ClientResult;
  readonly kept: string | null;
}

const UNKNOWN = 'unknown';

function versionsOf(status: PairStatus): Record<NodeId, EndVersions> {
  const of = (node: NodeId): EndVersions => {
    const { system, storage } = status.nodes[node];
    return { system: system?.version ?? UNKNOWN, storage: storage?.version ?? UNKNOWN };
  };
  return { A: of('A'), B: of('B') };
}

/** After these phases earlier ones may come again, because the second node is tried once more. */
const AGAIN: ReadonlySet<Phase> = new Set(['BACK1', 'BACK2']);

/**
 * The phases in their order with their times. Each node has a log of its own, so a phase that one
 * of them notes a moment later than the other must not be taken for a second one.
 */
export function phaseTimes(rollout: RolloutRecord): PhaseTime[] {
  const logs = NODES.flatMap((node) => rollout.nodes[node].log);
  // What was checked was checked before the rollout began.
  const entries = logs.filter(({ phase }) => phase !== 'PRECHECK');
  const begun = [{ phase: 'STAGE' as const, at: rollout.startedAt }, ...entries];
  const sorted = begun.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const steps: { phase: Phase; atMs: number }[] = [];
  const seen = new Set<Phase>();
  for (const { phase, at } of sorted) {
    if (seen.has(phase)) continue;
    if (AGAIN.has(phase)) seen.clear();
    else for (const back of AGAIN) seen.delete(back);
    seen.add(phase);
    steps.push({ phase, atMs: Date.parse(at) });
  }
  const startMs = Date.parse(rollout.startedAt);
  return steps.map(({ phase, atMs }, index) => {
    const next = steps[index + 1];
    const tookS = next === undefined ? null : (next.atMs - atMs) / 1000;
    const words = phaseWords(phase, rollout);
    return { phase, words, atS: Math.max(0, (atMs - startMs) / 1000), tookS };
  });
}

/** What was not as the scenario demands, one sentence each. */
function faultsOf(found: Findings): string[] {
  const { scenario, exit, boots, client } = found;
  const faults: string[] = [];
  if (exit !== scenario.exit) {
    faults.push(`the update ended with ${String(exit)}, expected ${String(scenario.exit)}`);
  }
  const after = versionsOf(found.after);
  for (const node of NODES) {
    for (const part of ['system', 'storage'] as const) {
      const [have, want] = [after[node][part], scenario.ends[node][part]];
      if (have !== want) faults.push(`node ${node} runs ${part} ${have}, expected ${want}`);
    }
    if (scenario.refused && boots[node] !== 1) faults.push(`node ${node} rebooted`);
  }
  for (const node of found.strangers) {
    faults.push(`node ${node} does not run the program of its booted slot`);
  }
  if (!found.ready) faults.push('the pair is not highly available');
  if (client.lost.length > 0) faults.push(`${String(client.lost.length)} writes were lost`);
  if (client.misreads > 0) {
    faults.push(`${String(client.misreads)} reads missed an acknowledged write`);
  }
  if (client.writes === 0) faults.push('the client could not write at all');
  return faults;
}

/** The report of a run. */
export function reportOf(found: Findings): DemoReport {
  const faults = faultsOf(found);
  return {
    schema: 1,
    scenario: found.scenario.name,
    ok: faults.length === 0,
    exit: found.exit,
    expectedExit: found.scenario.exit,
    faults,
    versions: { before: versionsOf(found.before), after: versionsOf(found.after) },
    highlyAvailable: found.ready,
    boots: found.boots,
    phases: found.rollout === null ? [] : phaseTimes(found.rollout),
    reason: found.rollout?.result?.message ?? null,
    updateS: Math.round(found.updateS * 10) / 10,
    client: found.client,
    kept: found.kept,
  };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** The report in lines for people. */
export function tellReport(report: DemoReport, voice: Voice): void {
  const { before, after } = report.versions;
  voice.line();
  voice.title('What happened');
  for (const node of NODES) {
    const part = (name: 'system' | 'storage'): string => {
      const [old, now] = [before[node][name], after[node][name]];
      return old === now ? `${name} ${now}, as before` : `${name} ${old} -> ${now}`;
    };
    const boots = report.boots[node];
    const reboots = ['no reboot', '1 reboot'][boots - 1] ?? `${String(boots - 1)} reboots`;
    voice.line(`  node ${node}     ${part('system')}; ${part('storage')}; ${reboots}`);
  }
  const ready = report.highlyAvailable ? 'highly available' : 'NOT highly available';
  voice.line(`  pair       ${ready}; the update took ${report.updateS.toFixed(1)} s`);
  if (report.reason !== null) voice.line(`  reason     ${report.reason}`);
  if (report.phases.length > 0) {
    voice.line('  phases      since start     took');
    for (const { phase, words, atS, tookS } of report.phases) {
      const at = `${atS.toFixed(1)} s`.padStart(11);
      const took = (tookS === null ? '' : `${tookS.toFixed(1)} s`).padStart(8);
      voice.line(`              ${at} ${took}  ${phase.padEnd(10)}  ${words}`);
    }
  }
  tellClient(report.client, voice);
}

function tellClient(client: ClientResult, voice: Voice): void {
  const { writes, reads, retries, checked, lost } = client;
  const counts = `${String(writes)} writes acknowledged, ${String(reads)} reads`;
  voice.line(`  client     ${counts}; sent again: ${String(retries)}`);
  const at =
    client.longestGapAtMs === null ? '' : ` (${seconds(client.longestGapAtMs)} after it began)`;
  voice.line(`  longest    ${seconds(client.longestGapMs)} without a success${at}`);
  voice.line(`  lost       ${String(lost.length)} of ${String(checked)} acknowledged writes`);
}
