/**
 * Stories of a peer that is lost under policy `fence` (rules R3 and R4): who is switched off, who
 * serves, what is frozen, and that no acknowledged write is lost. The invariants are checked by the
 * pair after every event.
 */
import t from 'tap';
import type { PairOptions } from './fixture.ts';
import { Pair } from './pair.ts';

function settled(options: PairOptions = {}): Pair {
  const pair = new Pair({ takeover: 'fence', ...options });
  pair.run(60);
  return pair;
}

function ticks(pair: Pair, count: number): void {
  for (let i = 0; i < count; i++) pair.tick();
}

t.test('the link is cut: the active fences first and goes on', async (t) => {
  const pair = settled();
  const before = pair.acknowledged;
  pair.linkUp = false;
  ticks(pair, 50);
  t.equal(pair.serving(), 'A');
  t.equal(pair.fences, 1, 'one node was fenced, once');
  t.ok(pair.acknowledged > before + 40, 'service went on');
  t.equal(pair.nodes.A.state?.record.role.peerMayTakeOver, false);
  pair.linkUp = true;
  pair.run(60);
  t.ok(pair.highlyAvailable());
});

t.test('the active dies for good: the standby fences it and takes over', async (t) => {
  const pair = settled();
  pair.dead.add('A');
  pair.nodes.A.state = null;
  ticks(pair, 60);
  t.equal(pair.serving(), 'B');
  t.equal(pair.nodes.B.state?.record.role.epoch, 2);
  t.ok(pair.longestGapMs <= 3000, `gap ${pair.longestGapMs} ms`);
  pair.dead.clear();
  pair.run(60);
  t.equal(pair.serving(), 'B', 'the old active does not take the service back by itself');
  t.ok(pair.highlyAvailable());
});

t.test('a standby that was never admitted does not take over', async (t) => {
  const pair = settled();
  pair.nodes.B.state = null;
  pair.linkUp = false;
  ticks(pair, 5);
  const writes = pair.acknowledged;
  pair.dead.add('A');
  pair.nodes.A.state = null;
  ticks(pair, 100);
  t.equal(pair.serving(), null);
  t.equal(pair.acknowledged, writes);
  pair.dead.clear();
  pair.linkUp = true;
  pair.run(60);
  t.ok(pair.highlyAvailable());
});

t.test('a fence that fails freezes the active until the link is back', async (t) => {
  const pair = settled({ fence: 'failed' });
  pair.linkUp = false;
  ticks(pair, 50);
  const frozen = pair.acknowledged;
  ticks(pair, 50);
  t.equal(pair.acknowledged, frozen, 'nothing is acknowledged');
  t.equal(pair.nodes.A.state?.world.store.frozen, true);
  pair.linkUp = true;
  pair.run(60);
  t.ok(pair.acknowledged > frozen);
});

t.test('an operator frees a frozen active, and promotes a standby', async (t) => {
  const pair = settled({ fence: 'failed' });
  pair.dead.add('B');
  pair.nodes.B.state = null;
  ticks(pair, 50);
  const frozen = pair.acknowledged;
  pair.send('A', { type: 'peer-off', word: 'operator' });
  ticks(pair, 10);
  t.ok(pair.acknowledged > frozen, 'the active goes on alone');
  const other = settled({ takeover: 'manual' });
  other.dead.add('A');
  other.nodes.A.state = null;
  ticks(other, 50);
  t.equal(other.serving(), null, 'policy manual waits');
  other.send('B', { type: 'peer-off', word: 'operator' });
  ticks(other, 10);
  t.equal(other.serving(), 'B');
  other.dead.clear();
  other.run(60);
  t.ok(other.highlyAvailable());
});

t.test('a takeover over one that counts on no peer is heard before that one serves', async (t) => {
  const pair = settled({ takeover: 'manual' });
  pair.send('B', { type: 'stand-down', on: true });
  ticks(pair, 50);
  pair.dead.add('A');
  pair.nodes.A.state = null;
  ticks(pair, 50);
  t.equal(pair.nodes.A.findable().role.peerMayTakeOver, false);
  pair.send('B', { type: 'peer-off', word: 'operator' });
  ticks(pair, 10);
  t.equal(pair.serving(), 'B');
  pair.linkUp = false;
  pair.dead.clear();
  ticks(pair, 20);
  t.not(pair.software.A, null, 'everything is there, but the link takes its time');
  pair.linkUp = true;
  pair.run(60);
  t.equal(pair.serving(), 'B');
});

t.test('one that counts on no peer serves alone when it has waited for it', async (t) => {
  const pair = settled({ takeover: 'manual' });
  pair.dead.add('B');
  pair.nodes.B.state = null;
  ticks(pair, 50);
  pair.nodes.A.kill();
  ticks(pair, 20);
  t.equal(pair.serving(), null, 'it waits');
  ticks(pair, 20);
  t.equal(pair.serving(), 'A');
});

t.test('a switchover moves the service, and is refused during a rollout', async (t) => {
  const pair = settled();
  pair.send('A', { type: 'switchover' });
  pair.run(60);
  t.equal(pair.serving(), 'B');
  t.ok(pair.highlyAvailable());
  pair.start();
  const holder = pair.serving();
  pair.send(holder ?? 'A', { type: 'switchover' });
  t.ok(pair.nodes[holder ?? 'A'].unknownEvents.includes('switchover'));
  pair.run();
});

t.test('a promise of an operator lasts until it is taken back', async (t) => {
  const pair = settled();
  pair.send('B', { type: 'stand-down', on: true });
  ticks(pair, 50);
  t.equal(pair.nodes.A.state?.record.role.peerMayTakeOver, false);
  t.equal(pair.nodes.B.state?.world.admitted, false);
  pair.send('B', { type: 'stand-down', on: false });
  pair.run(60);
  t.ok(pair.highlyAvailable());
});

t.test('a paused rollout rests where high availability is up', async (t) => {
  const pair = settled();
  pair.start();
  pair.send('A', { type: 'pause', by: 'test' });
  ticks(pair, 100);
  t.equal(pair.nodes.A.state?.rollout?.phase, 'STAGE');
  t.ok(pair.highlyAvailable());
  pair.send('A', { type: 'pause', by: null });
  pair.run();
  t.equal(pair.nodes.A.state?.rollout?.phase, 'DONE');
});

t.test('updates under policy fence end as under policy manual', async (t) => {
  const pair = settled();
  pair.start();
  pair.run();
  t.equal(pair.nodes.A.state?.rollout?.phase, 'DONE');
  t.equal(pair.fences, 0, 'a planned restart is no reason to fence');
});
