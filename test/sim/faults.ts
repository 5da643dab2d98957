/**
 * What goes wrong in a run of the simulator, by chance: power, daemons, links, disks, boots,
 * fencers, storage software, checks; and how all of it is made good again at the end. Always holds:
 * every fault is one that the field knows, and each counts under its name. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import type { FencerFault } from './execute.ts';
import type { Pair } from './pair.ts';
import { count, type Tally } from './tally.ts';

type Next = () => number;

/** One of these, all as likely. */
export const pick = <T>(next: Next, ...values: readonly T[]): T =>
  values[Math.floor(next() * values.length)] as T;

/** Something between the two, short far more often than long. */
const span = (next: Next, min: number, max: number): number => {
  const x = next();
  return Math.round(min + (max - min) * x * x);
};

/** Kinds of faults with what they do; how often each comes is in the second column. */
const KINDS: readonly (readonly [
  string,
  number,
  (pair: Pair, node: NodeId, next: Next) => void,
])[] = [
  ['power before a write', 4, (pair, node, next) => cutAtWrite(pair, node, next, 0)],
  ['power in a write', 5, (pair, node, next) => cutAtWrite(pair, node, next, pick(next, 1, 2, 3))],
  ['power', 4, (pair, node) => pair.cutPower(node, 'cut')],
  ['both lose power', 1, (pair) => NODES.forEach((node) => pair.cutPower(node, 'cut'))],
  ['off for long', 1, offForLong],
  ['daemon killed', 3, (pair, node) => pair.kill(node)],
  ['daemon held up', 3, (pair, node, next) => pair.hold(node, span(next, 300, 9000))],
  ['storage killed', 3, (pair, node) => pair.killStorage(node)],
  ['link cut', 4, (pair, _node, next) => cutBoth(pair, span(next, 1500, 25_000))],
  ['link cut for a moment', 2, (pair, _node, next) => cutBoth(pair, span(next, 50, 1400))],
  ['link flaps', 2, flap],
  ['link cut one way', 2, cutOneWay],
  ['link of the store cut', 2, cutStore],
  ['serial line cut', 2, cutSerial],
  ['fencer', 3, breakFencer],
  ['self-test of the fencer', 1, failSelfTest],
];
const WEIGHTS = KINDS.reduce((sum, [, weight]) => sum + weight, 0);

/** See `Pair.meeting`; ends it once that node follows the one that took over. */
function meeting(pair: Pair): boolean {
  if (pair.meeting === null) return false;
  const { disk, state } = pair.nodes[pair.meeting];
  const { role } = pair.nodes[peerOf(pair.meeting)].disk.record;
  if (state !== null && disk.record.role.epoch >= role.epoch) pair.meeting = null;
  return pair.meeting !== null;
}

/** One fault of some kind on some node. */
export function strike(pair: Pair, next: Next, tally: Tally): void {
  if (meeting(pair)) return;
  let at = next() * WEIGHTS;
  const node = pick(next, ...NODES);
  for (const [kind, weight, happen] of KINDS) {
    at -= weight;
    if (at >= 0) continue;
    count(tally.faults, kind);
    pair.trace?.(`FAULT ${kind} (${node})`);
    return happen(pair, node, next);
  }
}

function cutAtWrite(pair: Pair, node: NodeId, next: Next, op: number): void {
  const appliance = pair.nodes[node];
  appliance.cutAt = appliance.writes + 1 + Math.floor(next() * 8);
  appliance.cutOp = op;
  appliance.cutLeaves = Math.floor(next() * 2 ** 31);
}

/** Off until somebody switches it on again. */
function offForLong(pair: Pair, node: NodeId, next: Next): void {
  pair.cutPower(node, 'cut');
  pair.dead.add(node);
  pair.agenda.after(span(next, 5000, 60_000), () => pair.dead.delete(node));
}

function cutBoth(pair: Pair, forMs: number): void {
  if (meeting(pair)) return;
  pair.linkUp = false;
  pair.agenda.after(forMs, () => (pair.linkUp = true));
}

/** Cut and whole again, again and again: what belongs to an older loss arrives in a newer one. */
function flap(pair: Pair, _node: NodeId, next: Next): void {
  let atMs = 0;
  for (let times = pick(next, 2, 3, 4); times > 0; times--) {
    const forMs = span(next, 1300, 5000);
    pair.agenda.after(atMs, () => cutBoth(pair, forMs));
    atMs += forMs + span(next, 500, 5000);
  }
}

function cutOneWay(pair: Pair, node: NodeId, next: Next): void {
  pair.cutPath(node, true);
  pair.agenda.after(span(next, 50, 15_000), () => pair.cutPath(node, false));
}

function cutStore(pair: Pair, _node: NodeId, next: Next): void {
  pair.storeCut = true;
  pair.agenda.after(span(next, 50, 15_000), () => (pair.storeCut = false));
}

function cutSerial(pair: Pair, _node: NodeId, next: Next): void {
  const { serial } = pair.links;
  if (serial === null) return;
  serial.whole = false;
  pair.agenda.after(span(next, 50, 20_000), () => (serial.whole = true));
}

function breakFencer(pair: Pair, node: NodeId, next: Next): void {
  const fencer = pair.fencers[node];
  fencer.fault = pick<FencerFault>(next, 'fails', 'gone', 'mute', 'slow', 'slow');
  pair.agenda.after(span(next, 2000, 40_000), () => (fencer.fault = null));
}

function failSelfTest(pair: Pair, node: NodeId, next: Next): void {
  const fencer = pair.fencers[node];
  fencer.tested = false;
  pair.agenda.after(span(next, 2000, 40_000), () => (fencer.tested = true));
}

/** Boots that fail, checks that fail, and the like: each time with this chance. */
export function letStrike(pair: Pair, next: Next, tally: Tally): void {
  const rates = { 'storage-start': 0.03, health: 0.004, demotion: 0.03, installer: 0.02 };
  pair.strikes = (fault) => {
    const strikes = next() < rates[fault];
    if (strikes) count(tally.faults, fault);
    return strikes;
  };
  pair.luck = () => {
    const fails = next() < 0.08;
    if (fails) count(tally.faults, 'boot');
    return !fails;
  };
  if (pair.links.serial !== null) pair.links.serial.noise = pick(next, 0, 0.1, 0.5);
}

/** From now on nothing goes wrong any more. */
export function makeGood(pair: Pair): void {
  pair.strikes = () => false;
  pair.luck = () => true;
  pair.linkUp = true;
  pair.storeCut = false;
  const { serial } = pair.links;
  if (serial !== null) {
    serial.whole = true;
    serial.noise = 0;
  }
  pair.dead.clear();
  for (const node of NODES) {
    pair.fencers[node].fault = null;
    pair.fencers[node].tested = true;
    pair.nodes[node].cutAt = Number.POSITIVE_INFINITY;
  }
}
