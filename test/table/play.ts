/**
 * One update of the simulated pair with one fault in it: what the client of the service saw, what
 * the status said meanwhile, and how it ended. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import type { PairOptions } from '../sim/fixture.ts';
import type { Word } from './cells.ts';
import { StatusWatch } from './says.ts';
import { nameOf, Struck, type Moment } from './struck.ts';

/**
 * Longest time without an acknowledged write that still counts as going on: a planned switchover
 * costs two ticks here, and one more where a fault meets it.
 */
export const GOES_ON_MS = 300;
/** A takeover: six beats are no part of the simulated link, the head start and the fence are. */
export const TAKEOVER_MS = 2500;
/** Service is back so soon after what it waited for. */
export const BACK_MS = 1000;
/** A pair that has not come to rest then never will. */
const TICKS_MAX = 3000;
const CALM = 3;

/** A fault, as it strikes a pair in an update. */
export interface Strike {
  /** Which kinds of moments it strikes at. */
  readonly at: readonly Moment['at'][];
  /** False = it cannot happen at this moment, the run does not count. */
  readonly hit: (struck: Struck, at: Moment) => boolean;
  /** How long service may suffer from it: not at all (null), a restart (0), until it is mended. */
  readonly lastsTicks: number | null;
  /** Called at each tick since, until it says that all is mended. */
  readonly mend: (struck: Struck, ticks: number, at: Moment) => boolean;
  /** Under which condition of the table this run belongs, most special first. */
  readonly when?: (struck: Struck, at: Moment) => readonly string[];
  /** The same, as far as only the rest of the update shows it. */
  readonly whenEnded?: (struck: Struck, at: Moment) => readonly string[];
}

/** What came of one run. */
export interface Outcome {
  readonly moment: Moment;
  readonly name: string;
  readonly word: Word | null;
  readonly gapMs: number;
  readonly end: string;
  /** Systems and storage software that run at the end, of the first and the second node. */
  readonly versions: string;
  readonly conditions: readonly string[];
  readonly wrong: readonly string[];
}

/** Strikes at the moment and lets the pair come to rest; undefined = it did not strike. */
export function play(options: PairOptions, strike: Strike, wanted: Moment): Outcome | undefined {
  const struck = new Struck(options);
  const { pair } = struck;
  const watch = new StatusWatch(pair);
  let at: Moment | undefined;
  let refused = false;
  let conditions: readonly string[] = [];
  const hit = (moment: Moment): void => {
    at = moment;
    conditions = strike.when?.(struck, moment) ?? [];
    refused = !strike.hit(struck, moment);
  };
  arm(struck, strike, wanted, hit);
  struck.start();
  const service = new Service(pair.ms, pair.acknowledged);
  let mended = false;
  for (let ticks = 0, since = 0, calm = 0; calm < CALM; ticks++) {
    struck.tick();
    if (refused) return undefined;
    watch.look();
    if (at === undefined) {
      if (pair.quiet()) return undefined;
    } else if (!mended) mended = strike.mend(struck, ++since, at);
    const lasts = since <= (strike.lastsTicks ?? 0);
    const now = at === undefined ? 'before' : lasts ? 'while' : 'after';
    service.tick(pair.ms, pair.acknowledged, now, mended);
    calm = mended && pair.quiet() ? calm + 1 : 0;
    if (ticks > TICKS_MAX) throw new Error(`never quiet, ${nameOf(wanted)}\n${pair.describe()}`);
  }
  if (at === undefined) return undefined;
  const { lastsTicks } = strike;
  const word = lastsTicks === null || lastsTicks === 0 ? null : service.word();
  const { end, versions, wrong } = endOf(struck);
  return {
    moment: at,
    name: nameOf(at),
    word,
    gapMs: service.gapMs,
    end,
    versions,
    conditions: [...(strike.whenEnded?.(struck, at) ?? []), ...conditions],
    wrong: [...watch.wrong, ...service.wrong(word, lastsTicks), ...wrong],
  };
}

/** Waits for the moment: a write by cutting power before it, the others by looking on. */
function arm(struck: Struck, strike: Strike, wanted: Moment, hit: (at: Moment) => void): void {
  const { pair } = struck;
  let done = false;
  let last = { phase: struck.phase(), driver: struck.driverNow() };
  if (wanted.at === 'write') struck.cutBefore(wanted.node, wanted.count);
  const seen = pair.cuts;
  struck.onMoment = (moment) => {
    if (done) return;
    if (wanted.at === 'write' && pair.cuts > seen) {
      done = true;
      // The write did not happen: what is in force is what was before it.
      hit({ ...wanted, phase: moment.phase, driver: last.driver });
      return;
    }
    last = moment;
    const same = moment.at === wanted.at && moment.count === wanted.count;
    if (!same || (moment.at === 'event' && moment.node !== wanted.node)) return;
    done = true;
    hit(moment);
  };
}

/** What a client saw that writes all the time, since the fault. */
class Service {
  gapMs = 0;
  private ackMs: number;
  private acks: number;
  private during = 0;
  private mendedMs: number | null = null;
  private backMs = 0;

  constructor(ms: number, acks: number) {
    this.ackMs = ms;
    this.acks = acks;
  }

  /** After each tick; `while` says whether the fault has struck and lasts. */
  tick(ms: number, acks: number, now: 'before' | 'while' | 'after', mended: boolean): void {
    if (mended) this.mendedMs ??= ms;
    if (acks <= this.acks) return;
    const gapMs = ms - this.ackMs;
    if (now !== 'before') this.gapMs = Math.max(this.gapMs, gapMs);
    if (now === 'while') this.during++;
    if (this.mendedMs !== null) {
      this.backMs = Math.max(this.backMs, ms - Math.max(this.ackMs, this.mendedMs));
    }
    this.acks = acks;
    this.ackMs = ms;
  }

  word(): Word {
    if (this.gapMs <= GOES_ON_MS) return 'C';
    return this.during > 2 ? 'T' : 'W';
  }

  wrong(word: Word | null, lastsTicks: number | null): string[] {
    const found: string[] = [];
    if (lastsTicks === null && this.gapMs > GOES_ON_MS)
      found.push(`no answer for ${this.gapMs} ms`);
    if (word === 'T' && this.gapMs > TAKEOVER_MS) found.push(`a takeover took ${this.gapMs} ms`);
    if (this.backMs > BACK_MS) found.push(`service came back ${this.backMs} ms after the repair`);
    return found;
  }
}

/** Whatever happened: highly available, nothing lost, no trial armed, the versions of the end. */
function endOf({ pair }: Struck): Pick<Outcome, 'end' | 'versions' | 'wrong'> {
  const wrong: string[] = [];
  pair.rested();
  if (!pair.highlyAvailable()) wrong.push('not highly available at the end');
  for (const node of NODES) {
    if (pair.replicas[node].writes < pair.acknowledged) wrong.push(`node ${node} lost a write`);
    if (pair.nodes[node].disk.boot.trial !== null) wrong.push(`a trial is armed on ${node}`);
  }
  const rollout = pair.nodes.A.disk.rollout;
  if (rollout === null) return { end: 'none', versions: '', wrong: [...wrong, 'no record of it'] };
  const running = (node: NodeId): string => {
    const world = pair.nodes[node].state?.world;
    return `${world?.system?.counter}/${world?.storage?.release.counter}`;
  };
  const versions = `${running(rollout.first)} ${running(peerOf(rollout.first))}`;
  const before = pair.acknowledged;
  pair.tick();
  if (pair.acknowledged <= before) wrong.push('no service at the end');
  return { end: rollout.phase, versions, wrong };
}
