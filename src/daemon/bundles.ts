/**
 * Bundles as a daemon handles them before an update: read and judged against the pair, copied into
 * the depot, sent to the peer. Always holds: judging writes nothing; what is staged was verified as
 * a whole by the installer. Imports core and the updater.
 */
import { CODES } from '../core/codes.ts';
import { judgeDelta } from '../core/delta.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { NODES, peerOf, type Sha256 } from '../core/model.ts';
import { judgeBundle, type PolicyView } from '../core/policy.ts';
import { me, peerReport } from '../core/state.ts';
import type { ValidateReport } from '../core/status.ts';
import type { BundleSource, StagedBundle } from '../control/backend.ts';
import type { InstallerRequest, VerifyResult } from '../install/protocol.ts';
import type { Depot } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Executor } from '../updater/execute.ts';
import type { Runner } from '../updater/runner.ts';
import { policyView, runningOf, type Identity } from './plan.ts';

/** How often the peer is looked at while it pulls a bundle, and how long it may be silent. */
const PEER_LOOK_MS = 100;
const PEER_SILENT_MS = 10_000;

/** What bundles are handled with. */
export interface BundleParts {
  readonly runner: Runner;
  readonly executor: Executor;
  readonly depot: Depot;
  readonly identity: Identity;
  readonly trustRoot: string;
  readonly depotDir: string;
  /** How time passes between looks at the peer; real time unless a test says otherwise. */
  readonly pause?: Pause;
}

/** What was found out about a bundle. */
export interface Judged {
  readonly report: ValidateReport;
  readonly found: VerifyResult;
  readonly view: PolicyView;
}

/** Reads, judges and stages bundles of this node. */
export class Bundles {
  readonly #parts: BundleParts;

  /** The bundle of a prepared update by its id; set by whoever keeps them. */
  prepared: ((id: string) => Sha256) | null = null;

  constructor(parts: BundleParts) {
    this.#parts = parts;
  }

  /**
   * Reads the whole bundle and judges it against this pair; writes nothing. `more` adds to the view
   * what the state of this node does not tell.
   */
  async judge(
    path: string,
    signal: AbortSignal,
    more?: (view: PolicyView, bundle: Sha256) => Promise<PolicyView>,
  ): Promise<Judged> {
    const { trustRoot, identity, executor, runner } = this.#parts;
    const request: InstallerRequest = { do: 'verify', path, trustRoot };
    const found = await executor.work<VerifyResult>(request, 'checking', null, this.#send, signal);
    const bundle = { digest: found.bundle, bytes: found.bytes };
    const known = policyView(runner.state, identity, bundle);
    const view = more === undefined ? known : await more(known, found.bundle);
    const report = judgeBundle(found.manifest, view);
    const running = runningOf(runner.state);
    return { report: judgeDelta(report, found.manifest, view, running), found, view };
  }

  /** The file of a bundle, which may be named by its id when it is in the depot. */
  async pathOf(source: BundleSource): Promise<string> {
    if ('path' in source) return source.path;
    const bundle = this.#bundleOf(source);
    const entries = await this.#parts.depot.list();
    const entry = entries.find((one) => one.bundle === bundle);
    if (entry !== undefined) return entry.path;
    const node = me(this.#parts.runner.state);
    const message = `bundle ${bundle} is not staged on node ${node}; see \`tandem stage --list\``;
    throw new UpdateError('file.not_found', message);
  }

  #bundleOf(source: Exclude<BundleSource, { readonly path: string }>): Sha256 {
    if ('bundle' in source) return source.bundle as Sha256;
    if (this.prepared !== null) return this.prepared(source.prepared);
    throw new UpdateError('prepare.unknown', `${source.prepared} is not known here`);
  }

  /** What is staged on this node, newest first, then what only the peer has. */
  async listing(): Promise<readonly StagedBundle[]> {
    const { depot, runner } = this.#parts;
    const node = me(runner.state);
    const there: readonly string[] = peerReport(runner.state)?.depot ?? [];
    const entries = await depot.list();
    const own = entries.toReversed().map(({ bundle, bytes, manifest }): StagedBundle => ({
      bundle,
      product: manifest.product,
      version: manifest.version,
      bytes,
      nodes: there.includes(bundle) ? NODES : [node],
    }));
    const here = new Set<string>(own.map(({ bundle }) => bundle));
    const others = there.filter((bundle) => !here.has(bundle));
    const unknown = { product: null, version: null, bytes: null, nodes: [peerOf(node)] };
    return [...own, ...others.map((bundle) => ({ bundle, ...unknown }))];
  }

  /** Copies it into the depot of this node. */
  async stage(
    job: string,
    path: string,
    found: Pick<VerifyResult, 'bundle' | 'bytes'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { depot, executor, trustRoot, depotDir } = this.#parts;
    const staged = await depot.list();
    if (!staged.some((entry) => entry.bundle === found.bundle)) {
      await executor.makeRoom(found.bundle, found.bytes);
      const request: InstallerRequest = { do: 'stage', path, trustRoot, depotDir };
      await executor.work(request, 'staging', job, this.#send, signal);
    }
    await executor.observeDepot(this.#send);
  }

  /** Lets the peer pull a bundle that is staged here, and waits until it has it. */
  async replicate({ bundle, bytes }: VerifyResult, signal: AbortSignal): Promise<void> {
    const { runner } = this.#parts;
    await runner.dispatch({ type: 'staging', staging: { bundle, bytes } });
    try {
      await this.#untilPeerHas(bundle, signal);
    } finally {
      await runner.dispatch({ type: 'staging', staging: null });
    }
  }

  readonly #send = (event: Parameters<Runner['dispatch']>[0]): Promise<boolean> =>
    this.#parts.runner.dispatch(event);

  /** Waits while the peer pulls the bundle; its trouble, or its absence, is the job's failure. */
  async #untilPeerHas(bundle: Sha256, signal: AbortSignal): Promise<void> {
    const { runner } = this.#parts;
    for (let silentMs = 0; silentMs < PEER_SILENT_MS;) {
      signal.throwIfAborted();
      const peer = peerReport(runner.state);
      if (peer?.depot.includes(bundle) === true) return;
      const trouble = peer?.troubles['fetch'];
      if (trouble !== undefined) throw new UpdateError(trouble.code, trouble.message);
      silentMs = peer === null ? silentMs + PEER_LOOK_MS : 0;
      await (this.#parts.pause ?? pause)(PEER_LOOK_MS, signal);
    }
    const node = me(runner.state);
    const message = `the bundle is staged on node ${node} only: its peer does not answer`;
    throw new UpdateError('pair.not_replicated', message);
  }
}

/** A refusal of the reader in the form of a report; a bug is thrown on. */
export function refusal(cause: unknown): ValidateReport {
  const error = asUpdateError(cause);
  if (error.code === 'internal.bug') throw error;
  const { code, message } = error;
  return {
    ok: false,
    bundle: null,
    product: null,
    version: null,
    lagging: [],
    checks: [{ name: 'bundle', ok: false, code, detail: message }],
    code,
    message,
    next: CODES[code].next,
  };
}

/** How the job says that a bundle is staged. */
export const stagedWords = (bundle: string): string => `bundle ${bundle} is staged on both nodes`;

/** The bundle that such a sentence is about. */
export function bundleOfStaged(words: string): string {
  const found = /^bundle ([0-9a-f]{64}) is staged/.exec(words)?.[1];
  if (found !== undefined) return found;
  throw new UpdateError('internal.bug', `no staged bundle in: ${words}`);
}
