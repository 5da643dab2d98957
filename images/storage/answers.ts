/**
 * Answers the questions of the other storage process. Always holds: what a question is about is
 * read outside of the turns in which writes are taken, but never before the writes that were sent
 * ahead of the question are on this disk; one comparison at a time; only `yield` changes this copy.
 * Imports core, buckets and the questions.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { Buckets, BUCKETS_MAX, heldItems } from './buckets.ts';
import { checkKey, ITEMS_MAX } from './limits.ts';
import type { Replica } from './replica.ts';
import type { Session } from './session.ts';
import { factsOf, yieldCopy } from './split.ts';
import { bad, type Question } from './wire.ts';

/** The answering side of one connection. */
export class Answers {
  readonly #session: Session;
  readonly #replica: Replica;
  #buckets: Buckets | null = null;

  constructor(session: Session, replica: Replica) {
    this.#session = session;
    this.#replica = replica;
  }

  readonly answer = async (question: Question): Promise<object | null> => {
    const { objects } = this.#replica;
    // Taken in the turn of the question: what came before it is on its way to the disk.
    const written = objects.flushed();
    await written;
    switch (question.do) {
      case 'open': {
        const { buckets, content } = question;
        const good = Number.isSafeInteger(buckets) && buckets > 0 && buckets <= BUCKETS_MAX;
        if (!good) throw bad(`${buckets} buckets`);
        this.#buckets = await Buckets.of(objects, buckets, content);
        return null;
      }
      case 'bucket':
        return await this.#open().digest(question.bucket);
      case 'items':
        return await this.#open().items(question.bucket, question.from);
      case 'keys': {
        if (question.keys.length > ITEMS_MAX) throw bad(`${question.keys.length} keys at once`);
        const keys = question.keys.map((key) => checkKey(key));
        return { items: await heldItems(objects, keys, true) };
      }
      case 'close':
        this.#buckets = null;
        return null;
      case 'facts':
        return factsOf(this.#replica);
      case 'yield':
        return await yieldCopy(this.#replica, this.#session, question);
      case 'verify':
        await this.#replica.verifier?.adopt(question.report);
        return null;
      default:
        throw new UpdateError('pair.protocol', 'a question that this storage software lacks');
    }
  };

  #open(): Buckets {
    if (this.#buckets) return this.#buckets;
    throw bad('a question about a comparison that was not begun');
  }
}
