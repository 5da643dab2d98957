/**
 * The trust root of this node in the running daemon: what it is, and the new one that an update
 * brought, kept when that update is permanent here (docs/bundle.md B3.15). It follows the records
 * and changes nothing of them. Always holds: a root is judged anew from the one in force whenever
 * it is about to be kept, so nothing that lay on the disk meanwhile is believed; root.json is
 * replaced whole, so a power cut leaves the old root or the new one; what was not done is done
 * after the next start, because it follows from the records alone. Imports core, bundle, drivers.
 */
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOTS_BYTES_MAX } from '../bundle/limits.ts';
import { openBundle } from '../bundle/reader.ts';
import { decodeRoots, followRoots } from '../bundle/rotation.ts';
import { openFileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { asUpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import type { Reason } from '../core/records.ts';
import type { Event, NodeState } from '../core/state.ts';
import type { TrustStatus } from '../core/status.ts';
import { readFileLimited, syncDirectory, writeFileAtomic } from '../drivers/fs-atomic.ts';
import type { Depot } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';

/** After a failure it is tried again so much later, in milliseconds of the node's clock. */
const RETRY_MS = 60_000;
/** How often the file in force is looked at, in case somebody replaced it by hand. */
const LOOK_MS = 5000;
/** What new roots wait in until their update is permanent. */
const WAITING = /^next-([0-9a-f]{64})\.json$/;
/** Updates whose roots wait at most; older ones can be read from their bundles again. */
const WAITING_MAX = 4;

/** What the keeper works with. */
export interface TrustKeeperParts {
  /** Path of root.json. */
  readonly trustRoot: string;
  /** Folder for roots that wait, on the data partition. */
  readonly waitingDir: string;
  readonly depot: Pick<Depot, 'list'>;
  readonly events: Pick<EventLog, 'emit'>;
  readonly dispatch: (event: Event) => Promise<boolean>;
  readonly log: (line: string) => void;
}

/** An update of which this node has to do something about the new root. */
export interface Due {
  readonly bundle: Sha256;
  /** True: it is permanent here, the root is kept. False: the root is put aside until it is. */
  readonly keep: boolean;
}

/**
 * What is due by the records: nothing before this node runs what the update brought, nothing of an
 * update that was turned back, and nothing kept before FINALIZE has closed the way back here.
 */
export function rotationDue({ rollout, record }: NodeState): Due | null {
  if (rollout === null || rollout.kind !== 'update') return null;
  const { bundle, counter } = rollout.to;
  const finalizing = rollout.finalized || rollout.phase === 'FINALIZE';
  const closed = !record.canRollBack && record.releaseFloor >= counter;
  if (finalizing && closed) return { bundle, keep: true };
  const { update } = record;
  const own = update.state === 'committed' && update.rollout === rollout.id;
  const committed = own && update.mode === 'install';
  return committed || finalizing || rollout.phase === 'DONE' ? { bundle, keep: false } : null;
}

/** Watches the records of one node and keeps its trust root. */
export class TrustKeeper implements AsyncDisposable {
  readonly #parts: TrustKeeperParts;
  readonly #troubles = new Map<string, string>();
  #status: TrustStatus = NO_ROOT;
  /** Why there is no root. */
  #lost: Reason | null = null;
  #seen = '';
  #done = '';
  #retryMs = -Infinity;
  #lookMs = -Infinity;
  #work: Promise<void> | null = null;

  private constructor(parts: TrustKeeperParts) {
    this.#parts = parts;
  }

  /** Reads what is in force; a root that is missing or damaged is told later, not thrown. */
  static async open(parts: TrustKeeperParts): Promise<TrustKeeper> {
    const keeper = new TrustKeeper(parts);
    await keeper.#refresh();
    return keeper;
  }

  /** What clients see of it. */
  status(): TrustStatus {
    return this.#status;
  }

  /** Does what is due in this state, beside whatever runs; never throws. */
  look(s: NodeState): void {
    if (this.#work !== null) return;
    const nowMs = s.world.clock.ms;
    const due = rotationDue(s);
    const key = due === null ? '' : `${due.bundle} ${due.keep ? 'keep' : 'wait'}`;
    const isNew = due !== null && key !== this.#done && nowMs >= this.#retryMs;
    if (!isNew && nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_MS;
    const work = async (): Promise<void> => {
      if (isNew && (await this.#carryOut(due))) this.#done = key;
      else if (isNew) this.#retryMs = nowMs + RETRY_MS;
      await this.#refresh();
      await this.#tell('trust root', this.#lost);
    };
    this.#work = work()
      .catch((error: unknown) => this.#parts.log(`trust root: ${asUpdateError(error).message}`))
      .finally(() => (this.#work = null));
  }

  /** Returns when nothing is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work;
  }

  async #carryOut(due: Due): Promise<boolean> {
    try {
      if (due.keep) await this.#keep(due.bundle);
      else await this.#putAside(due.bundle);
      await this.#tell('new trust root', null);
      return true;
    } catch (error) {
      const { message } = asUpdateError(error);
      await this.#tell('new trust root', { code: 'trust.not_kept', message });
      return false;
    }
  }

  #waitingPath(bundle: string): string {
    return join(this.#parts.waitingDir, `next-${bundle}.json`);
  }

  /** The roots of a bundle lie beside root.json from now on: the depot may lose the bundle. */
  async #putAside(bundle: Sha256): Promise<void> {
    const roots = await this.#fromDepot(bundle);
    if (roots === null) return;
    await mkdir(this.#parts.waitingDir, { recursive: true, mode: 0o700 });
    await writeFileAtomic(this.#waitingPath(bundle), roots);
    const names = await this.#waiting();
    for (const { name } of names.slice(0, -WAITING_MAX)) {
      await rm(join(this.#parts.waitingDir, name), { force: true });
    }
  }

  async #keep(bundle: Sha256): Promise<void> {
    const { trustRoot, waitingDir, events } = this.#parts;
    const from = await loadTrustRoot(trustRoot);
    // A link stays one; the file that it leads to is replaced.
    const path = await realpath(trustRoot);
    const roots = (await this.#put(bundle)) ?? (await this.#fromDepot(bundle));
    if (roots === null) return;
    const { root, bytes } = followRoots(from, decodeRoots(roots));
    if (bytes !== null) {
      await writeFileAtomic(path, bytes, { mode: (await stat(path)).mode & 0o777 });
      const msg = `trust root ${root.version} is in force, ${from.version} was before`;
      events.emit({ job: null, phase: null, state: 'trust', msg });
    }
    await rm(this.#waitingPath(bundle), { force: true });
    await syncDirectory(waitingDir).catch(() => undefined);
  }

  /** What was put aside and is still whole; null when it must be read from the bundle. */
  async #put(bundle: Sha256): Promise<Uint8Array | null> {
    try {
      const roots = await readFileLimited(this.#waitingPath(bundle), ROOTS_BYTES_MAX);
      decodeRoots(roots);
      return roots;
    } catch {
      return null;
    }
  }

  /** New roots of a bundle of the depot, judged with the root in force; null when it has none. */
  async #fromDepot(bundle: Sha256): Promise<Uint8Array | null> {
    const entry = (await this.#parts.depot.list()).find((one) => one.bundle === bundle);
    // The manifest that counts as verified says whether there is anything to look for.
    if (entry?.manifest.root === undefined) return null;
    const root = await loadTrustRoot(this.#parts.trustRoot);
    await using source = await openFileSource(entry.path);
    return (await openBundle(source, root)).rotation?.roots ?? null;
  }

  /** Roots that wait, oldest first. */
  async #waiting(): Promise<readonly { readonly name: string; readonly changedMs: number }[]> {
    const { waitingDir } = this.#parts;
    const found: { readonly name: string; readonly changedMs: number }[] = [];
    for (const name of await readdir(waitingDir).catch(() => [])) {
      if (!WAITING.test(name)) continue;
      found.push({ name, changedMs: (await stat(join(waitingDir, name))).mtimeMs });
    }
    return found.toSorted((a, b) => a.changedMs - b.changedMs);
  }

  /** Looks at the file in force, and at what waits. */
  async #refresh(): Promise<void> {
    const { trustRoot } = this.#parts;
    const waiting = await this.#waiting();
    const found = await stat(trustRoot).catch(() => null);
    const seen = `${found?.ino} ${found?.size} ${found?.mtimeMs} ${JSON.stringify(waiting)}`;
    if (seen === this.#seen) return;
    try {
      const root = await loadTrustRoot(trustRoot);
      const { version, threshold, keys, revoked } = root;
      const next = await this.#nextVersion(
        version,
        waiting.map(({ name }) => name),
      );
      this.#status = { version, threshold, keys: keys.size, revoked: revoked.size, next };
      this.#lost = null;
    } catch (error) {
      this.#status = NO_ROOT;
      this.#lost = { code: 'trust.no_root', message: asUpdateError(error).message };
    }
    this.#seen = seen;
  }

  async #nextVersion(version: number, names: readonly string[]): Promise<number | null> {
    let next: number | null = null;
    for (const name of names) {
      const bundle = WAITING.exec(name)?.[1] as Sha256;
      const roots = await this.#put(bundle);
      const last = roots === null ? 0 : (decodeRoots(roots).at(-1)?.version ?? 0);
      if (last > Math.max(version, next ?? 0)) next = last;
    }
    return next;
  }

  /** An alarm while it lasts; each change of it is told once. */
  async #tell(effect: string, reason: Reason | null): Promise<void> {
    const message = reason?.message ?? '';
    if ((this.#troubles.get(effect) ?? '') === message) return;
    this.#troubles.set(effect, message);
    if (reason !== null) this.#parts.log(`${effect}: ${message}`);
    await this.#parts.dispatch({ type: 'trouble', effect, reason });
  }
}

/** Nothing that could be used: every bundle is refused. */
const NO_ROOT: TrustStatus = {
  version: null,
  threshold: null,
  keys: null,
  revoked: null,
  next: null,
};

/** Where new roots wait, by the folder of the state. */
export function waitingDirOf(stateDir: string): string {
  return join(stateDir, 'trust');
}
