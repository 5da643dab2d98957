/**
 * The post between two nodes: what a node would send, what is on the way, what a receiver makes of
 * it. Always holds: what is on the way to a node is what its peer was at one moment; a newer
 * message takes the place of an older one. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { NodeReport } from '../../src/core/report.ts';
import type { Over, Site, Sites } from './site.ts';

/** What is on the way to a node: a report, and after it the rollout record. */
export interface Mail {
  readonly report: NodeReport | null;
  readonly rollout: RolloutRecord | null;
}

const NOTHING: Mail = { report: null, rollout: null };
/** More messages than there ever are: a node and a message as one number. */
const MAILS_MAX = 2 ** 24;

/** Messages by number; 0 is none. */
export class Post {
  readonly #sites: Sites;
  readonly #mails: Mail[] = [NOTHING];
  readonly #ids = new Map<string, number>();
  /** What a node would send. */
  readonly #outgoing: (number | undefined)[] = [];
  readonly #received = new Map<number, Site>();
  readonly #linked: (Site | undefined)[] = [];
  readonly #unlinked: (Site | undefined)[] = [];
  readonly #aged = new Map<number, number>();

  constructor(sites: Sites) {
    this.#sites = sites;
  }

  mail(id: number): Mail {
    return this.#mails[id] as Mail;
  }

  #id(mail: Mail): number {
    if (mail.report === null && mail.rollout === null) return 0;
    const { values } = this.#sites;
    const key = `${values.id(mail.report)},${values.id(mail.rollout)}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#mails.length;
      this.#mails.push({ report: values.of(mail.report), rollout: values.of(mail.rollout) });
      this.#ids.set(key, id);
    }
    return id;
  }

  /** The message after the boot of `node`, or the run of its daemon, is over. */
  aged(mail: number, node: NodeId, over: Over): number {
    if (mail === 0) return 0;
    const key = mail * 4 + (node === 'A' ? 0 : 1) + (over === 'boot' ? 0 : 2);
    let id = this.#aged.get(key);
    if (id === undefined) {
      const { report, rollout } = this.mail(mail);
      id = this.#id({
        report: this.#sites.age(report, node, over),
        rollout: this.#sites.age(rollout, node, over),
      });
      this.#aged.set(key, id);
    }
    return id;
  }

  /**
   * What is on the way to `y` after `x` has sent, with `old` before. A message that would tell `y`
   * nothing new is left out: it would change nothing there, now or later.
   */
  sent(x: Site, y: Site, old: number): number {
    let out = this.#outgoing[x.id];
    if (out === undefined) {
      out = this.#id({ report: this.#sites.report(x), rollout: this.#sites.rolloutFor(x) });
      this.#outgoing[x.id] = out;
    }
    const { report, rollout } = this.mail(out);
    const lacks = rollout !== null && this.#lacks(y, rollout);
    if (old === 0 && !lacks && y.world?.peer === report) return 0;
    return rollout === null || lacks ? out : this.#id({ report, rollout: null });
  }

  #lacks(y: Site, rollout: RolloutRecord): boolean {
    if (y.rollout === null) return true;
    return this.#sites.core.records.compareWriter(rollout.writer, y.rollout.writer) > 0;
  }

  /** The node after it received the first part of what is on the way. */
  received(x: Site, mail: number): Site {
    const key = x.id * MAILS_MAX + mail;
    let next = this.#received.get(key);
    if (next === undefined) {
      const { report, rollout } = this.mail(mail);
      next =
        report === null
          ? this.#sites.event(x, { type: 'rollout', record: rollout as RolloutRecord })
          : this.#sites.hears(x, report);
      this.#received.set(key, next);
    }
    return next;
  }

  /** What is still on the way after that. */
  rest(mail: number): number {
    const { report, rollout } = this.mail(mail);
    return report === null ? 0 : this.#id({ report: null, rollout });
  }

  /** The message with another report. */
  changed(mail: number, change: (report: NodeReport) => NodeReport): number {
    const { report, rollout } = this.mail(mail);
    return report === null ? mail : this.#id({ report: change(report), rollout });
  }

  /** Only the rollout of what is on the way, and only the report; null when one is missing. */
  parts(mail: number): { readonly rollout: number; readonly report: number } | null {
    const { report, rollout } = this.mail(mail);
    if (report === null || rollout === null) return null;
    return {
      rollout: this.#id({ report: null, rollout }),
      report: this.#id({ report, rollout: null }),
    };
  }

  /** The node after it found the link up or down. */
  linked(x: Site, up: boolean): Site {
    const known = up ? this.#linked : this.#unlinked;
    const next = known[x.id] ?? this.#sites.event(x, { type: 'link', up });
    known[x.id] = next;
    return next;
  }

  /** A message, or its first part, in words. */
  words(mail: number, first = false): string {
    const { report, rollout } = this.mail(mail);
    if (report === null) return ` the rollout in ${rollout?.phase}`;
    const and = rollout === null || first ? '' : ` and the rollout in ${rollout.phase}`;
    return ` a report${and}`;
  }
}
