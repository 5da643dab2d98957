/**
 * The replacement of the peer by another node: a pairing code for the new one, then everything up
 * to high availability, as one job. Always holds: the code is told to the one who asked and to
 * nobody else; whether the peer may be replaced is judged again right before its key is revoked;
 * from that write on the job cannot be taken back, and what is left of it happens by itself, also
 * after the end of this daemon. Imports core, the updater and the drivers of pairing.
 */
import type { ReplaceRequest } from '../control/backend.ts';
import { UpdateError } from '../core/errors.ts';
import { other, type NodeState } from '../core/state.ts';
import { replaceRefusal, runsOf, type ReplaceOffer } from '../core/replace.ts';
import type { PairInit, PairInitOptions, PairResult } from '../drivers/pairing.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Runner } from '../updater/runner.ts';
import { isFormed, reformItems } from '../updater/status.ts';
import type { Asked } from './audit.ts';
import type { JobDesk } from './job-desk.ts';
import { newId } from './jobs.ts';

/** How often it is looked whether the pair has formed. */
const LOOK_MS = 250;
/** So many looks in a row must find it formed. */
const FORMED_LOOKS = 4;
/** Digits of a key's digest that people compare. */
const KEY_DIGITS = 16;
const NEVER = new AbortController().signal;

/** How this node pairs. */
export interface PairingParts {
  readonly keysDir: string;
  /** Where the new node is waited for, unless the request names another address. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The pin as it is now, and reading it again. */
  readonly keys: { readonly peerSpkiSha256: string; readonly refresh: () => Promise<void> };
  readonly open: (options: PairInitOptions) => Promise<PairInit>;
}

/** What a replacement is made of. */
export interface ReplaceParts {
  readonly runner: Pick<Runner, 'state'>;
  readonly desk: JobDesk;
  readonly pairing: PairingParts;
  /** A job that must not run beside it. */
  readonly localJob: () => string | null;
  readonly now: () => string;
  readonly pause?: Pause;
}

/** Replaces the peer of this node. */
export class Replacement {
  readonly #parts: ReplaceParts;

  constructor(parts: ReplaceParts) {
    this.#parts = parts;
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  /**
   * Waits for a new node from now on, as a job. Throws `replace.refused`, `job.busy` and what a
   * pairing cannot begin for.
   */
  async begin({ node, listen }: ReplaceRequest, asked: Asked): Promise<ReplaceOffer> {
    const { pairing, desk, now } = this.#parts;
    this.#check(node);
    const busy = this.#parts.localJob();
    // An update whose node is lost for good can only end with another node in its place.
    const rollout = this.#state.rollout?.id;
    if (busy !== null && busy !== rollout) throw new UpdateError('job.busy', `job ${busy} runs`);
    const wanted = runsOf(this.#state);
    const stop = new AbortController();
    const offer = await pairing.open({
      keysDir: pairing.keysDir,
      node: this.#state.record.node,
      listen: listen ?? pairing.listen,
      signal: stop.signal,
      replace: { wanted, at: now, check: () => this.#check(node) },
    });
    const id = newId('replace');
    const job = desk.begin(id, 'replace', asked, async (signal) => {
      signal.addEventListener('abort', () => stop.abort(), { once: true });
      desk.tell(id, 'replace', `waits for the new node ${node}`);
      const old = pairing.keys.peerSpkiSha256;
      const paired = await offer.done;
      await pairing.keys.refresh();
      desk.tell(id, 'replace', pairedText(paired, old));
      await this.#formed(id, signal);
      return `${pairedText(paired, old)}; the pair is highly available`;
    });
    const { address, code, validMs, tries } = offer;
    const validS = Math.round(validMs / 1000);
    const version = wanted.system?.version ?? null;
    return { job, code, ...address, validS, tries, node, version };
  }

  #check(node: ReplaceRequest['node']): void {
    const refusal = replaceRefusal(this.#state, node);
    if (refusal !== null) throw refusal;
  }

  /** Waits until the new node has everything and may take over. */
  async #formed(id: string, signal: AbortSignal): Promise<void> {
    const { desk } = this.#parts;
    const tell = desk.progressOf(id, 'replace');
    for (let looks = 0; looks < FORMED_LOOKS;) {
      const s = this.#state;
      const { sync } = s.world.store;
      if (sync !== null) tell(sync);
      looks = isFormed(reformItems(s)) ? looks + 1 : 0;
      if (signal.aborted) {
        const message = `node ${other(s)} has its place already; the pair goes on forming`;
        throw new UpdateError('job.not_cancellable', message);
      }
      await (this.#parts.pause ?? pause)(LOOK_MS, NEVER);
    }
  }
}

/** Which key has the place now, and which one had it. */
function pairedText({ peer }: PairResult, old: string): string {
  const head = `node ${peer.node} has key ${peer.spkiSha256.slice(0, KEY_DIGITS)}`;
  if (peer.spkiSha256 === old) return `${head}, as before`;
  return `${head}, key ${old.slice(0, KEY_DIGITS)} is revoked`;
}
