/**
 * Gathers what the checks before an update need (facts of both nodes, the bundle, the hooks, an
 * estimate) and makes the report of a dry run. Always holds: nothing is changed; an update goes
 * through the same rows. Imports core and the updater.
 */
import { asUpdateError } from '../core/errors.ts';
import { NODES, type NodeId, type Sha256 } from '../core/model.ts';
import type { Estimate, PrecheckReport, PrecheckRow } from '../core/operator.ts';
import { planRollout } from '../core/policy.ts';
import type { Policy } from '../core/records.ts';
import { me, peerReport } from '../core/state.ts';
import type { ChannelStatus } from '../core/status.ts';
import type { BundleSource, PrecheckOptions } from '../control/backend.ts';
import type { Fencer, Hooks, HooksEnd, Host } from '../ports.ts';
import { refusal, type Bundles, type Judged } from './bundles.ts';
import { fromHistory, fromSizes, stageSeconds } from './estimate.ts';
import { diskFree, fencerFacts, NO_FENCER, roomFor, type NodeFacts } from './facts.ts';
import type { BundleParts } from './bundles.ts';
import type { History } from './history.ts';
import { forLater, laterOf, type DueOf } from './later-check.ts';
import { firstNode } from './plan.ts';
import { bad, bundleRows, estimateRow, factRows, good, idleRow, pairFacts } from './precheck.ts';
import { passed, reportOfRows, stateRows, withFacts, type PairFacts } from './precheck.ts';
import type { DriverRequests } from './requests.ts';
import { agreeOn, gateRows, mayBegin, type WaitTeller } from './update-gate.ts';
import type { GateParts } from '../updater/switch-gate.ts';

/** A check hook or a self-test that takes longer is given up. */
const HOOKS_MS = 600_000;
const SELF_TEST_MS = 20_000;

/** What the checks are made with. */
export interface CheckParts extends BundleParts {
  readonly requests: DriverRequests;
  readonly history: History;
  readonly hooks: Hooks;
  readonly host: Host;
  readonly policy: Policy;
  readonly channels: () => readonly ChannelStatus[];
  /** The job of this daemon that runs beside a rollout, or null. */
  readonly localJob: () => string | null;
  /** How this node can stop its peer; absent = policy `manual`. */
  readonly fencer?: Fencer;
  readonly fencePolicy?: 'manual' | 'fence';
  /** Bundles that the depot keeps beside those of rollouts; none when absent. */
  readonly kept?: () => readonly Sha256[];
  /** Windows and files that hold an update up. */
  readonly automation: NonNullable<GateParts['automation']>;
  /** Bytes free for the depot; the file system of the depot when absent. */
  readonly freeBytes?: () => Promise<number | null>;
}

/** A bundle that was judged together with what the nodes tell of themselves. */
export interface Checked extends Judged {
  readonly facts: PairFacts;
  readonly readMs: number;
}

/** The checks before an update. */
export class Checks {
  readonly #parts: CheckParts;
  readonly #bundles: Bundles;

  constructor(parts: CheckParts, bundles: Bundles) {
    this.#parts = parts;
    this.#bundles = bundles;
    parts.requests.facts = (bundle) => this.#own(bundle);
  }

  /** The bundle judged against the pair with the space of both nodes; writes nothing. */
  async judge(path: string, signal: AbortSignal): Promise<Checked> {
    let facts: PairFacts = { A: null, B: null };
    const { host } = this.#parts;
    const beganMs = host.monotonicMs();
    let readMs = 0;
    const judged = await this.#bundles.judge(path, signal, async (view, bundle) => {
      readMs = host.monotonicMs() - beganMs;
      facts = await this.#facts(bundle, signal);
      return withFacts(view, facts);
    });
    return { ...judged, facts, readMs };
  }

  /** No update and no other job is going on; throws `job.busy`. */
  idle(): void {
    passed([idleRow(this.#parts.runner.state, this.#parts.localJob())]);
  }

  /** The pair is such that a rollout could be taken back at once; throws what is not. */
  healthy(facts?: PairFacts): void {
    const { runner, channels } = this.#parts;
    passed(stateRows(runner.state, channels()));
    if (facts !== undefined) passed(factRows(facts));
  }

  /** No file and no window stands against it; throws what does. */
  async mayBegin(facts: PairFacts, ignoreWindow: boolean): Promise<void> {
    await mayBegin(this.#parts, facts, ignoreWindow);
  }

  /** Asks those of `check.d` once; throws `hook.refused`. `later`: they want to be asked again. */
  async hooks(judged: Judged, signal = AbortSignal.timeout(HOOKS_MS)): Promise<HooksEnd> {
    return this.#parts.hooks.run('check', hookInput(judged), signal);
  }

  /**
   * Asks them for a job until they agree, then those of `pre-prepare`; both together for as long as
   * hooks may say later, of which `waitedMs` are over already.
   */
  async agree(
    judged: Judged,
    desk: WaitTeller,
    job: string,
    { later, waitedMs = 0 }: { readonly later: boolean; readonly waitedMs?: number | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const sinceMs = this.#parts.host.monotonicMs() - waitedMs;
    const points = later ? (['check', 'pre-prepare'] as const) : (['pre-prepare'] as const);
    for (const point of points) {
      const question = { job, point, input: hookInput(judged), sinceMs };
      await agreeOn(this.#parts, desk, question, signal);
    }
  }

  /** What an update with this bundle is expected to take. */
  estimate({ found, view, readMs }: Checked): Estimate {
    const { history, runner, policy } = this.#parts;
    const past = fromHistory(history.with(runner.state.rollout), 'update');
    if (past !== null) return past;
    const plan = planRollout(found.manifest, view);
    const rawBytes = (node: NodeId): number =>
      plan[node].targets.reduce((sum, image) => sum + image.rawBytes, 0);
    const first = firstNode(runner.state, policy);
    const [second = first] = NODES.filter((node) => node !== first);
    return fromSizes({
      bundleBytes: found.bytes,
      first: rawBytes(first),
      second: rawBytes(second),
      soakS: found.manifest.health?.soakS ?? policy.soakS,
      readMs,
    });
  }

  /** Seconds until both nodes hold this bundle, or have it prepared. */
  stageS({ found, readMs }: Checked, options?: { readonly prepared: boolean }): number {
    return stageSeconds({ bundleBytes: found.bytes, readMs }, options);
  }

  /** Every check with what was found and its fix; changes nothing and never throws a refusal. */
  async report(
    source: BundleSource,
    signal: AbortSignal,
    options: ReportOptions = {},
  ): Promise<PrecheckReport> {
    const { runner, channels, localJob } = this.#parts;
    const idle = idleRow(runner.state, localJob());
    const prepared = await preparedRows(source, options.plan);
    const { rows, checked } = await this.#bundleRows(source, signal);
    const facts = checked?.facts ?? (await this.#facts(null, signal));
    const estimate = checked?.report.ok === true ? this.estimate(checked) : null;
    const later = laterOf(options, options.due);
    const { ignoreWindow } = options;
    const more = [
      ...stateRows(runner.state, channels()),
      ...factRows(facts),
      ...(await gateRows(this.#parts, facts, { ignoreWindow, atMs: later?.dueMs })),
      ...(checked?.report.ok === true ? [await this.#hookRow(checked, signal)] : []),
      estimateRow(estimate),
    ];
    const ifLater = (ofFile: boolean) => (row: PrecheckRow) =>
      later === null ? row : forLater(row, later, ofFile);
    const checks = [
      ...(later === null ? [] : [later.row]),
      ...[idle, ...prepared].map(ifLater(false)),
      ...rows.map(ifLater(true)),
      ...more.map(ifLater(false)),
    ];
    const version = checked?.report.version ?? null;
    return reportOfRows(checks, { bundle: checked?.found.bundle ?? null, version, estimate });
  }

  async #bundleRows(
    source: BundleSource,
    signal: AbortSignal,
  ): Promise<{ readonly rows: readonly PrecheckRow[]; readonly checked: Checked | null }> {
    try {
      const checked = await this.judge(await this.#bundles.pathOf(source), signal);
      const rows = [good('bundle', `${checked.found.bundle}, signed and whole`)];
      return { rows: [...rows, ...bundleRows(checked.report, checked.view)], checked };
    } catch (cause) {
      if (signal.aborted) throw cause;
      return { rows: bundleRows(refusal(cause), null), checked: null };
    }
  }

  async #hookRow(judged: Judged, signal: AbortSignal): Promise<PrecheckRow> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(HOOKS_MS)]);
    try {
      const { ran, later } = await this.hooks(judged, limit);
      if (later !== undefined) return bad('hooks', 'hook.later', later, { result: 'warning' });
      return good('hooks', ran === 0 ? 'there are no check hooks' : `${ran} check hooks agree`);
    } catch (cause) {
      const { code, message } = asUpdateError(cause);
      return bad('hooks', code, message);
    }
  }

  /** Facts of both nodes; the clock of the peer is taken as of the middle of the question. */
  async #facts(bundle: Sha256 | null, signal: AbortSignal): Promise<PairFacts> {
    const { runner, requests, host } = this.#parts;
    const sentMs = host.monotonicMs();
    const asked = peerReport(runner.state) === null ? null : await requests.askFacts(bundle);
    const halfMs = (host.monotonicMs() - sentMs) / 2;
    const own = await this.#own(bundle, signal);
    const peer = asked === null ? null : { ...asked, nowMs: asked.nowMs + halfMs };
    return pairFacts(me(runner.state), { ...own, nowMs: host.nowMs() }, peer);
  }

  async #own(bundle: Sha256 | null, signal?: AbortSignal): Promise<NodeFacts> {
    const { runner, host, depot, depotDir, identity } = this.#parts;
    const { fencer, fencePolicy = 'manual' } = this.#parts;
    const freeBytes = await (this.#parts.freeBytes ?? (() => diskFree(depotDir)))();
    const current = runner.state.rollout?.to.bundle;
    const kept = [...(this.#parts.kept?.() ?? []), ...(current === undefined ? [] : [current])];
    const limit = AbortSignal.timeout(SELF_TEST_MS);
    const until = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    return {
      freeBytes: await roomFor(bundle, kept, depot, freeBytes),
      slotBytes: identity.slotBytes,
      fencer: fencer === undefined ? NO_FENCER : await fencerFacts(fencer, fencePolicy, until),
      nowMs: host.nowMs(),
      inhibited: await this.#parts.automation.inhibitor.inhibited(),
    };
  }
}

/** What a report is made with besides. */
interface ReportOptions extends PrecheckOptions {
  /** Throws what the install of a prepared update waits for. */
  readonly plan?: (id: string) => Promise<unknown>;
  /** When a schedule with these times would be due; throws why there may be none. */
  readonly due?: DueOf;
}

/** A row for a prepared update; none for any other one. */
async function preparedRows(
  source: BundleSource,
  plan: ReportOptions['plan'],
): Promise<readonly PrecheckRow[]> {
  if (!('prepared' in source) || plan === undefined) return [];
  try {
    await plan(source.prepared);
    return [good('prepared', `${source.prepared} is authorised and settled`)];
  } catch (cause) {
    const { code, message } = asUpdateError(cause);
    return [bad('prepared', code, message)];
  }
}

/** What the hooks before an update are told. */
const hookInput = ({ found }: Judged): object => ({
  bundle: found.bundle,
  version: found.manifest.version,
});
