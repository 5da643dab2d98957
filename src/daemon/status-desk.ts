/**
 * The whole picture of the pair as this node answers it: what the state tells, the ways to the
 * peer, what is scheduled and prepared, whose signatures count. Always holds: it is made anew for
 * each question and asks no disk. Imports core, ports and the updater.
 */
import type { PreparedBrief } from '../core/prepare-brief.ts';
import type { Reason } from '../core/records.ts';
import type { AutomationView } from '../core/schedule-read.ts';
import type { NodeState } from '../core/state.ts';
import type { Alarm, ChannelStatus, PairStatus, TrustStatus } from '../core/status.ts';
import type { Host, PeerLink } from '../ports.ts';
import { pairStatus, type LastHeard } from '../updater/status.ts';

/** What the picture is made from, beside state and time. */
export interface StatusDeskParts {
  readonly link: Pick<PeerLink, 'channels'>;
  readonly lastHeard: () => LastHeard | null;
  /** Why the peer is not heard. */
  readonly linkTroubles: () => readonly Reason[];
  /** Since when the pair is not highly available, in monotonic milliseconds; null while it is. */
  readonly reformingSinceMs?: () => number | null;
  /** When the sync that runs brought something last, monotonic; null without one. */
  readonly syncMovedMs?: () => number | null;
  /** The address that clients of the service use, and the limit of a held pair. */
  readonly address?: string;
  readonly holdH?: number;
  /** The trust root of this node. */
  readonly trust?: () => TrustStatus;
}

/** What other desks add; null = there is none. */
export interface StatusExtras {
  readonly automation: () => AutomationView | null;
  readonly prepared: () => PreparedBrief | null;
  /** What needs a person beside what the state tells. */
  readonly alarms: () => readonly Alarm[];
}

/** All of it. */
type Parts = StatusDeskParts & {
  readonly runner: { readonly state: NodeState };
  readonly host: Pick<Host, 'monotonicMs'>;
};

/** Answers what the pair is like. */
export class StatusDesk {
  readonly #parts: Parts;
  readonly #now: () => string;
  readonly #extras: StatusExtras;

  constructor(parts: Parts, now: () => string, extras: StatusExtras) {
    this.#parts = parts;
    this.#now = now;
    this.#extras = extras;
  }

  status(): PairStatus {
    const { runner, host, lastHeard, linkTroubles, trust } = this.#parts;
    const picture = pairStatus(runner.state, lastHeard(), host.monotonicMs(), this.#now(), {
      channels: this.channels(),
      reformingSinceMs: this.#parts.reformingSinceMs?.() ?? null,
      syncMovedMs: this.#parts.syncMovedMs?.() ?? null,
      address: this.#parts.address ?? null,
      holdH: this.#parts.holdH ?? 0,
      troubles: linkTroubles(),
    });
    const automation = this.#extras.automation();
    const prepared = this.#extras.prepared();
    return {
      ...picture,
      alarms: [...picture.alarms, ...this.#extras.alarms()],
      ...(automation === null ? {} : { automation }),
      ...(prepared === null ? {} : { prepared }),
      ...(trust === undefined ? {} : { trust: trust() }),
    };
  }

  /** Each way to the peer. */
  channels(): readonly ChannelStatus[] {
    return this.#parts.link.channels().map(({ name, up, ageMs, error }) => {
      const reason = error === null ? null : { code: error.code, message: error.message };
      return { name, up, ageMs, error: reason };
    });
  }
}
