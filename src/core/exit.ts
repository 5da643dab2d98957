/**
 * Exit statuses: the classes of outcome that scripts act on (docs/ARCHITECTURE.md, "Exit
 * statuses"). They are part of the interface and are only ever added to. Also the shape of a code's
 * entry, shared by the tables of codes. Pure; imports nothing.
 */

/**
 * Exit status per class of outcome, as scripts see them. Source: docs/ARCHITECTURE.md, "Exit
 * statuses".
 */
export const EXIT = {
  done: 0,
  internal: 1,
  usage: 2,
  nothingToDo: 3,
  bundleDamaged: 10,
  sameOrNewer: 11,
  noPath: 12,
  untrusted: 13,
  otherProduct: 14,
  noSpace: 15,
  window: 20,
  deferred: 21,
  notAuthorised: 22,
  notReplicated: 23,
  pairNotHealthy: 24,
  activeFailed: 30,
  storageFailed: 31,
  standbyFailed: 32,
  revertFailed: 33,
  waitTimedOut: 40,
  cancelled: 41,
  daemonUnreachable: 50,
  notPermitted: 51,
} as const;

/** Any of the exit statuses of `EXIT`. */
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** What each exit status means, in a few words; `tandem explain` and the docs print it. */
export const EXIT_WORDS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done',
  internal: 'internal error',
  usage: 'usage',
  nothingToDo: 'nothing to do',
  bundleDamaged: 'bundle damaged or of the wrong type',
  sameOrNewer: 'same or newer version on every node and component',
  noPath: 'no supported path from the installed version',
  untrusted: 'signature not trusted',
  otherProduct: 'not for this product or hardware',
  noSpace: 'no space',
  window: 'blocked by a maintenance window',
  deferred: 'deferred by a user',
  notAuthorised: 'not authorised',
  notReplicated: 'not replicated yet',
  pairNotHealthy: 'pair not healthy, busy, or peer unreachable',
  activeFailed: 'first node failed, reverted',
  storageFailed: 'storage failed, reverted',
  standbyFailed: 'second node failed; reverted, held or rolled back',
  revertFailed: 'revert failed',
  waitTimedOut: 'the wait ended before the job; the job goes on',
  cancelled: 'cancelled',
  daemonUnreachable: 'daemon unreachable',
  notPermitted: 'not permitted',
};

/** What the tables say of a code. */
export interface CodeEntry {
  /** Exit status of a command that ends with this code. */
  readonly exit: ExitStatus;
  /** What it means, one short sentence for an operator. */
  readonly title: string;
  /** What to do next, one sentence. */
  readonly next: string;
}
