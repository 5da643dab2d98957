/**
 * A real pair whose storage has much to send when a node comes back on trial: the storage software
 * of the receiver, then that of the sender, is killed in the middle of the sync. The sync goes on,
 * the update ends well, and every acknowledged write is on both copies. Only with PAIR_ALL=1
 * (`npm run test:embedded`).
 */
import { Agent, request } from 'node:http';
import t from 'tap';
import { strike } from './faults.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(230_000);
const KEYS = 96;
const VALUE_BYTES = 1024 * 1024;
const WRITERS = 4;

/** Writes large records round and round, and remembers what was acknowledged last of each. */
class BulkWriter {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: WRITERS });
  readonly #base: string;
  readonly #stop = new AbortController();
  readonly #acknowledged = new Map<string, string>();
  #count = 0;
  #work: readonly Promise<void>[] = [];

  constructor(base: string) {
    this.#base = base;
  }

  start(): void {
    this.#work = Array.from({ length: WRITERS }, async (_, at) => this.#write(at));
  }

  /** Ends the writing; returns the names of records that say something else than they must. */
  async finish(): Promise<readonly string[]> {
    this.#stop.abort();
    await Promise.all(this.#work);
    const wrong: string[] = [];
    for (const [key, mark] of this.#acknowledged) {
      const text = await this.#ask('GET', key);
      if (text?.startsWith(`${mark} `) !== true) wrong.push(key);
    }
    this.#agent.destroy();
    return wrong;
  }

  /** Each writer has its own keys, so that the order of the writes of one key is known. */
  async #write(writer: number): Promise<void> {
    for (let at = writer; !this.#stop.signal.aborted; at = (at + WRITERS) % KEYS) {
      this.#count += 1;
      const mark = String(this.#count);
      const body = `${mark} `.padEnd(VALUE_BYTES, mark);
      // The same write again until it is acknowledged: another one would hide its loss.
      for (let done = false; !done;)
        done = (await this.#ask('PUT', `bulk-${String(at)}`, body)) !== null;
      this.#acknowledged.set(`bulk-${String(at)}`, mark);
    }
  }

  async #ask(method: 'GET' | 'PUT', key: string, body?: string): Promise<string | null> {
    return new Promise((done) => {
      const signal = AbortSignal.timeout(5000);
      const options = { method, agent: this.#agent, signal };
      const call = request(`${this.#base}/records/${key}`, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => done((response.statusCode ?? 500) < 300 ? text : null));
        response.on('error', () => done(null));
      });
      call.once('error', () => setTimeout(() => done(null), 20));
      call.end(body);
    });
  }
}

const plan = { skip: process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false };

t.test('storage software is killed in the middle of a sync', plan, async (t) => {
  const bench = await Bench.open(t);
  const { watch } = bench;
  const good = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  // A serves and is the first: in its trial one end fails it. After that B serves and is the first,
  // and on A, which is not on trial, the storage software is started again.
  for (const [exit, versions] of [
    [31, '1.0.0'],
    [0, '2.0.0'],
  ] as const) {
    const from = watch.events.length;
    bench.startClient();
    const bulk = new BulkWriter(bench.pair.serviceUrl);
    const change = bench.update('A', good, '--json');
    await bench.during(change, watch.phase('ACT1', from));
    bulk.start();
    const seen = watch.until('a sync', ({ status }) => {
      const { sync } = status.nodes.B.store ?? {};
      return sync != null && sync.doneBytes > 0 && sync.doneBytes < sync.totalBytes;
    });
    const { status } = await bench.during(change, seen);
    const { sync } = status.nodes.B.store ?? {};
    t.comment(`sync at ${String(sync?.doneBytes)} of ${String(sync?.totalBytes)} bytes`);
    t.ok(await strike(bench, 'kill-storage', 'A'), 'the storage software of node A');
    const end = await change.done;
    t.match(end, { exit }, end.stdout);
    t.strictSame(await bulk.finish(), [], 'no large record is lost');
    const phase = exit === 0 ? 'DONE' : 'FAILED';
    await expectEnd(t, bench, { A: versions, B: versions, phase });
  }
});
