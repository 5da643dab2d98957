/**
 * Service shells, as the daemon sees them: whether one may be opened, when it began and how it
 * ended. Always holds: the daemon starts no shell itself, it allows one and writes it down before
 * it begins; each begin in the audit log has an end, also when the session ends or its console is
 * gone. Imports core, control and the audit log.
 */
import type { Visitor } from '../control/desk.ts';
import type { ShellAnswer, ShellRequest } from '../core/access.ts';
import { UpdateError } from '../core/errors.ts';
import type { AuditLog, Noted } from './audit.ts';

/** What is needed of the daemon. */
export interface ShellParts {
  /** Whether this node opens service shells; absent where it opens none. */
  readonly serviceShell?: boolean;
  readonly audit: Pick<AuditLog, 'note'>;
}

const ACT = 'service shell';

/** The shells that are open. */
export class ShellBook {
  readonly #parts: ShellParts;
  /** By the session; without one by the name that the caller gave. */
  readonly #open = new Map<AbortSignal | string, Visitor>();

  constructor(parts: ShellParts) {
    this.#parts = parts;
  }

  /** Throws `access.shell_off`; an end without a begin is nothing. */
  take(visitor: Visitor, request: ShellRequest): ShellAnswer {
    const key = visitor.ended ?? visitor.name;
    if (request.do === 'begin') this.#begin(visitor, key, request.reason);
    else this.#end(key, request.outcome);
    return { open: this.#open.has(key) };
  }

  #begin(visitor: Visitor, key: AbortSignal | string, reason: string): void {
    if (this.#parts.serviceShell !== true) {
      const message = 'service shells are switched off on this node';
      const error = new UpdateError('access.shell_off', message);
      this.#note(visitor, reason, { result: 'refused', code: error.code, message });
      throw error;
    }
    this.#end(key, 'another one was opened');
    this.#note(visitor, reason, { result: 'done', message: 'begins' });
    this.#open.set(key, visitor);
    if (typeof key !== 'string') {
      key.addEventListener('abort', () => this.#end(key, 'the session ended'), { once: true });
    }
  }

  #end(key: AbortSignal | string, outcome: string): void {
    const visitor = this.#open.get(key);
    if (visitor === undefined) return;
    this.#open.delete(key);
    this.#note(visitor, null, { result: 'done', message: `is over: ${outcome}` });
  }

  #note({ name, via }: Visitor, reason: string | null, noted: Noted): void {
    this.#parts.audit.note({ act: ACT, by: name, via, reason }, noted);
  }
}
