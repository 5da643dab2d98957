/**
 * Jobs that outlive their daemon: how they ended, or that they were interrupted, in a bounded file.
 * Imports tap and the daemon.
 */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { JobKind, JobStatus } from '../../src/core/status.ts';
import { openJobBook } from '../../src/daemon/job-book.ts';
import { Jobs } from '../../src/daemon/jobs.ts';

const AT = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-02T00:00:00.000Z';
const fail = (line: string): void => void t.fail(line);
const never = (): Promise<string> => new Promise(() => undefined);

/** Jobs of one run of a daemon over the book in `dir`. */
async function daemon(dir: string, at: string) {
  const book = await openJobBook(dir, at, fail);
  const jobs = new Jobs(
    () => [],
    () => at,
    book,
  );
  const begin = async (id: string, kind: JobKind, work: () => Promise<string>) => {
    const ended = Promise.withResolvers<JobStatus>();
    await jobs.noted(Promise.resolve(jobs.begin(id, kind, work, ended.resolve)));
    return ended.promise;
  };
  return { book, jobs, begin, [Symbol.asyncDispose]: () => book[Symbol.asyncDispose]() };
}

t.test('ends are kept, and what had not ended was interrupted', async (t) => {
  const dir = t.testdir();
  {
    await using first = await daemon(dir, AT);
    await first.begin('verify-1', 'verify', () => Promise.resolve('no difference'));
    const error = new UpdateError('pair.peer_unreachable', 'the peer was lost');
    await first.begin('resync-2', 'resync', () => Promise.reject(error));
    for (const kind of ['verify', 'resync', 'resolve', 'stage', 'support'] as const) {
      void first.begin(`${kind}-9`, kind, never);
    }
    void first.begin('update-9', 'update', never);
    await first.jobs.noted(Promise.resolve());
  }
  const want = { state: 'failed', code: 'job.interrupted', exit: EXIT.pairNotHealthy };
  for (const at of [LATER, AT]) {
    // The second restart finds the same ends: they were kept by the first.
    await using next = await daemon(dir, at);
    t.match(next.jobs.get('verify-1'), { state: 'done', exit: 0, message: 'no difference' });
    t.match(next.jobs.get('resync-2'), { state: 'failed', code: 'pair.peer_unreachable' });
    for (const kind of ['verify', 'resync', 'resolve', 'stage', 'support']) {
      const job = next.jobs.get(`${kind}-9`);
      t.match(job, { ...want, kind, endedAt: LATER, message: /^the daemon ended while/ });
      t.match(job.next, /tandem|again/);
    }
    t.throws(() => next.jobs.get('update-9'), { code: 'job.unknown' }, 'a rollout has a record');
    t.equal(next.book.interrupted.length, at === LATER ? 5 : 0);
    t.equal(next.jobs.list().length, 7);
  }
});

t.test(
  'the newest jobs are kept, as many as fit; a full or damaged file costs no job',
  async (t) => {
    const dir = t.testdir();
    {
      await using first = await daemon(dir, AT);
      for (let n = 0; n < 40; n += 1) {
        await first.begin(`verify-${n}`, 'verify', () => Promise.resolve('x'.repeat(1000)));
      }
    }
    const { size } = await stat(join(dir, 'jobs'));
    {
      await using next = await daemon(dir, LATER);
      const ids = next.jobs.list().map(({ id }) => id);
      t.ok(ids.length >= 8 && ids.length < 40, `${ids.length} jobs`);
      t.ok(ids.includes('verify-39'));
      t.notOk(ids.includes('verify-0'));
      t.ok(next.jobs.get('verify-39').message.length <= 200);
    }
    t.equal((await stat(join(dir, 'jobs'))).size, size);
    await writeFile(join(dir, 'jobs'), Buffer.alloc(size, 'z'));
    await using last = await daemon(dir, LATER);
    t.same(last.jobs.list(), []);
    await last.begin('verify-1', 'verify', () => Promise.resolve('fine'));
    t.match(last.jobs.get('verify-1'), { state: 'done' });
  },
);

t.test('without a file jobs are forgotten, and that is said', async (t) => {
  const lines: string[] = [];
  const dir = join(t.testdir(), 'not-there');
  await using book = await openJobBook(dir, AT, (line) => lines.push(line));
  t.same(book.earlier, []);
  t.match(lines, [/jobs are forgotten/]);
});
