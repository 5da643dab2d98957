/**
 * The audit log of a node: every act that an operator asked this node for, with who, when, why and
 * how it ended, refusals too. Always holds: an act is noted after its end and never instead of it;
 * a log that cannot be written stops nothing; the name is that of the session on the console
 * socket, and what the caller said on the control socket, and the entry says which.
 * Imports core and the updater's log interface.
 */
import type { Via } from '../core/access.ts';
import { asUpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { AuditEntry } from '../core/operator.ts';
import type { LineLog } from '../updater/events.ts';

/** Entries that are answered at most. */
export const AUDIT_MAX = 1000;
/** Characters of a message that are kept. */
const MESSAGE_MAX = 1000;

/** Who asks for what, and why. */
export interface Asked {
  readonly act: string;
  readonly by: string;
  readonly via?: Via | undefined;
  readonly reason: string | null;
  /** Id that the job of it gets; a new one when absent. */
  readonly job?: string | undefined;
  /** Milliseconds for which hooks have put that job off already. */
  readonly waitedMs?: number | undefined;
}

/** How it ended. */
export type Noted = Pick<AuditEntry, 'result' | 'message'> &
  Partial<Pick<AuditEntry, 'code' | 'job'>>;

/** The log of one node. */
export class AuditLog {
  readonly #log: LineLog;
  readonly #node: NodeId;
  readonly #now: () => string;

  constructor(log: LineLog, node: NodeId, now: () => string) {
    this.#log = log;
    this.#node = node;
    this.#now = now;
  }

  /** Does an act and notes how it ended; a refusal is noted and thrown on. */
  async around<T>(
    asked: Asked,
    work: () => Promise<{ readonly value: T; readonly noted: Noted }>,
    told?: (entry: AuditEntry) => void,
  ): Promise<T> {
    const tell = (noted: Noted): void => {
      const entry = this.note(asked, noted);
      told?.(entry);
    };
    try {
      const { value, noted } = await work();
      tell(noted);
      return value;
    } catch (cause) {
      const { code, message } = asUpdateError(cause);
      tell({ result: 'refused', code, message });
      throw cause;
    }
  }

  /** Notes how an act ended. */
  note({ act, by, via, reason }: Asked, noted: Noted): AuditEntry {
    const { result, code = null, job = null } = noted;
    const message = noted.message.slice(0, MESSAGE_MAX);
    const head = { v: 1, at: this.#now(), node: this.#node, act, by, reason } as const;
    const socket = via === undefined ? {} : { via };
    const entry: AuditEntry = { ...head, ...socket, result, code, message, job };
    this.#log.append(JSON.stringify(entry));
    return entry;
  }

  /** The newest entries, newest first; a damaged line is left out. */
  async recent(limit: number): Promise<readonly AuditEntry[]> {
    const lines = await this.#log.read();
    const entries = lines.slice(-AUDIT_MAX).flatMap((line) => parse(line) ?? []);
    return entries.toReversed().slice(0, limit);
  }
}

function parse(line: string): AuditEntry | null {
  try {
    const entry = JSON.parse(line) as Partial<AuditEntry> | null;
    const good = entry?.v === 1 && typeof entry.at === 'string' && typeof entry.act === 'string';
    return good ? (entry as AuditEntry) : null;
  } catch {
    // A torn last line after a power cut costs itself alone.
    return null;
  }
}
