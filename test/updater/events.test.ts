/**
 * The event log of a node: numbers that only grow, events of the peer that come late or twice, what
 * is kept over a restart, and a clock at 1970.
 */
import t from 'tap';
import type { TandemEvent } from '../../src/core/status.ts';
import { EVENTS_MAX, EventLog, type LineLog } from '../../src/updater/events.ts';

const said = (msg: string, state = 'phase') => ({ job: 'r1', phase: 'STAGE', state, msg });
const words = (events: readonly TandemEvent[]): string[] => events.map((event) => event.msg);

function memoryLog(): LineLog & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, append: (line) => void lines.push(line), read: () => Promise.resolve(lines) };
}

/** Both nodes with clocks of their own; B's is behind. */
function twoNodes() {
  const clocks = { A: 5000, B: 1000 };
  const a = new EventLog('A', () => clocks.A, memoryLog());
  const b = new EventLog('B', () => clocks.B, memoryLog());
  return { a, b, clocks };
}

t.test('numbers grow, also when the clock goes back to 1970', async (t) => {
  let nowMs = Date.UTC(2026, 10, 21);
  const log = new EventLog('A', () => nowMs, memoryLog());
  const first = log.emit(said('one'));
  t.equal(first.seq, nowMs * 1024);
  nowMs = 0;
  const later = [log.emit(said('two')), log.emit(said('three'))];
  t.same(
    later.map((event) => event.seq - first.seq),
    [1, 2],
  );
  t.match(later[1], { node: 'A', pct: null, eta_s: null, code: null, ts: /^1970-/ });
});

t.test('a late event of the peer is shown to a follower, in the order of arrival', async (t) => {
  const { a, b } = twoNodes();
  const seen: string[] = [];
  let last = 0;
  // As the event stream does it: everything above the last number that was sent.
  a.onEvent(() => {
    for (const event of a.since(last)) {
      last = event.seq;
      seen.push(event.msg);
    }
  });
  const late = b.emit(said('while the link was down'));
  a.emit(said('link is up'));
  a.adopt(structuredClone(late));
  a.emit(said('goes on'));
  t.same(seen, ['link is up', 'while the link was down', 'goes on']);
});

t.test('an event that is told again is taken once, over a restart too', async (t) => {
  const { a, b, clocks } = twoNodes();
  const event = b.emit(said('once'));
  a.emit(said('own'));
  for (let count = 0; count < 3; count++) a.adopt(structuredClone(event));
  t.same(words(a.since(0)), ['own', 'once']);
  const log = memoryLog();
  for (const one of a.since(0)) log.append(JSON.stringify(one));
  log.append('{"torn');
  const again = new EventLog('A', () => clocks.A, log);
  await again.load();
  again.adopt(structuredClone(event));
  t.same(words(again.since(0)), ['own', 'once']);
  t.same(words(again.own(5)), ['own'], 'only what this node said goes to the peer again');
});

t.test('what the peer says moves the numbers of this node forward', async (t) => {
  const { a, b } = twoNodes();
  const theirs = a.emit(said('ahead'));
  b.adopt(theirs);
  t.ok(b.emit(said('after it')).seq > theirs.seq);
  for (const nonsense of [null, 1, {}, { v: 2 }, { v: 1, seq: 'x' }, { v: 1, seq: 1 }]) {
    b.adopt(nonsense);
  }
  t.equal(b.since(0).length, 2);
});

t.test('a clock or a peer in the far future: numbers can still be counted', async (t) => {
  let nowMs = Date.UTC(9999, 0, 1);
  const log = new EventLog('A', () => nowMs, memoryLog());
  const first = log.emit(said('one'));
  t.equal(first.seq, 1);
  log.adopt({ ...first, node: 'B', seq: Number.MAX_SAFE_INTEGER });
  nowMs = Date.UTC(2026, 0, 1);
  log.emit(said('two'));
  log.emit(said('three'));
  const seqs = log.since(0).map((event) => event.seq);
  t.same(seqs, [1, 2, nowMs * 1024, nowMs * 1024 + 1]);
});

t.test('progress is shown and not kept; memory is bounded', async (t) => {
  const log = memoryLog();
  const events = new EventLog('A', () => 0, log);
  const shown: string[] = [];
  const leave = events.onEvent((event) => shown.push(event.state));
  events.emit(said('50 %', 'progress'));
  events.emit(said('done'));
  leave();
  t.same(shown, ['progress', 'phase']);
  t.equal(log.lines.length, 1);
  t.same(words(events.own(2)), ['done']);
  for (let count = 0; count < EVENTS_MAX + 5; count++) events.emit(said('many'));
  t.equal(events.since(0).length, EVENTS_MAX);
});
