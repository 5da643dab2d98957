/**
 * The one right to change the pair over the console socket, and the rules of its passing on. Always
 * holds: at most one session has it, everybody sees whose it is and since when; it is taken from
 * somebody only by the same or a higher role and with a reason; it never binds the control socket,
 * so root is never kept from helping. Imports core, control and the room of access.
 */
import type { Session, Sessions } from '../access/sessions.ts';
import type { Visitor } from '../control/desk.ts';
import { atLeast, type OperatorAnswer, type OperatorRequest } from '../core/access.ts';
import type { OperatorView } from '../core/access.ts';
import { UpdateError } from '../core/errors.ts';
import type { AccessParts } from './access.ts';

/** The right to change, and who has it. */
export class Holding {
  readonly #sessions: Sessions;
  readonly #sessionOf: (visitor: Visitor) => Session | null;
  readonly #parts: Pick<AccessParts, 'audit' | 'tell' | 'monotonicMs' | 'at'>;
  #since = '';

  constructor(
    sessions: Sessions,
    sessionOf: (visitor: Visitor) => Session | null,
    parts: Pick<AccessParts, 'audit' | 'tell' | 'monotonicMs' | 'at'>,
  ) {
    this.#sessions = sessions;
    this.#sessionOf = sessionOf;
    this.#parts = parts;
  }

  /** Who holds it, or null. */
  view(): OperatorView | null {
    this.#sessions.sweep();
    const { holder } = this.#sessions;
    if (holder === null) return null;
    const { user, role, where } = holder.session;
    const sinceS = Math.floor((this.#parts.monotonicMs() - holder.sinceMs) / 1000);
    return { user, role, where, since: this.#since, sinceS };
  }

  /** Throws `access.held` when another session has it. */
  check(visitor: Visitor): void {
    const held = this.#other(visitor);
    if (held !== null) throw this.#refusal(held);
  }

  /** Gives the right to who changes the pair, when it is free. */
  claim(visitor: Visitor, asked: string): void {
    if (this.#sessions.holder === null)
      this.#give(visitor, null, `with the first change, ${asked}`);
  }

  /** Takes or releases it; throws `access.held`, `access.role`. */
  operate(visitor: Visitor, request: OperatorRequest): OperatorAnswer {
    try {
      return request.do === 'take' ? this.#take(visitor, request) : this.#release(visitor, request);
    } catch (error) {
      if (error instanceof UpdateError) {
        const { code, message } = error;
        const asked = { act: `operator ${request.do}`, by: visitor.name, via: visitor.via };
        const reason = request.reason ?? null;
        this.#parts.audit.note({ ...asked, reason }, { result: 'refused', code, message });
      }
      throw error;
    }
  }

  #take(visitor: Visitor, { force, reason }: OperatorRequest): OperatorAnswer {
    const session = this.#sessionOf(visitor);
    if (session === null) {
      const message = 'the control socket needs no right to change the pair, it always has it';
      throw new UpdateError('usage.invalid', message);
    }
    const other = this.#other(visitor);
    if (other === null && this.#sessions.holder !== null) {
      return this.#answer(false, `${visitor.name} holds the right to change the pair already`);
    }
    if (other !== null) this.#force(visitor, other, force);
    const from = other === null ? 'it was free' : `taken over from ${other.user}`;
    return this.#answer(true, this.#give(visitor, reason ?? null, from));
  }

  #release(visitor: Visitor, { force, reason }: OperatorRequest): OperatorAnswer {
    const { holder } = this.#sessions;
    if (holder === null) return this.#answer(false, 'the right to change the pair is free already');
    const other = this.#other(visitor);
    if (other !== null) this.#force(visitor, other, force);
    this.#sessions.hold(null);
    const of = other === null ? '' : ` of ${other.user}`;
    const message = `${visitor.name} released the right${of} to change the pair`;
    this.#tell('operator release', visitor, reason ?? null, message);
    return this.#answer(true, message);
  }

  #force(visitor: Visitor, other: Session, force: boolean | undefined): void {
    if (force !== true) throw this.#refusal(other);
    if (atLeast(visitor.role, other.role)) return;
    const detail = { role: visitor.role, needs: other.role };
    const message = `${other.user} has the role ${other.role}, ${visitor.name} ${visitor.role}`;
    throw new UpdateError('access.role', message, { detail });
  }

  #give(visitor: Visitor, reason: string | null, how: string): string {
    this.#sessions.hold(this.#sessionOf(visitor));
    this.#since = this.#parts.at();
    const message = `${visitor.name} holds the right to change the pair now: ${how}`;
    this.#tell('operator take', visitor, reason, message);
    return message;
  }

  #tell(act: string, { name, via }: Visitor, reason: string | null, message: string): void {
    this.#parts.audit.note({ act, by: name, via, reason }, { result: 'done', message });
    this.#parts.tell(reason === null ? message : `${message} (${reason})`);
  }

  #answer(changed: boolean, message: string): OperatorAnswer {
    return { changed, message, operator: this.view() };
  }

  /** The session that has it, when that is not the visitor's own. */
  #other(visitor: Visitor): Session | null {
    const session = this.#sessions.holder?.session ?? null;
    return session === this.#sessionOf(visitor) ? null : session;
  }

  #refusal({ user, role, where }: Session): UpdateError {
    const sinceS = this.view()?.sinceS ?? 0;
    const at = where === null ? '' : ` on ${where}`;
    const message = `${user}${at} holds the right to change the pair, for ${sinceS} s now`;
    const detail = { user, role, sinceS, ...(where === null ? {} : { where }) };
    return new UpdateError('access.held', message, { detail });
  }
}
