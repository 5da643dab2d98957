/**
 * What can happen next on one node by itself: the next decision of the machine, the next piece of
 * an effect's work, news of the storage software, time, checks of a trial, an operator, a boot.
 * Always holds: a durable write, the work around it and the event that tells of it are moves of
 * their own, so that power can go between them. Only tests import it.
 */
import type { Event, NodeState } from '../../src/core/state.ts';
import { Broken, Move, type Extra, type Rules } from './move.ts';
import { writesAlone } from './replica.ts';
import { NOW } from './reduce.ts';
import type { Group, Parts, Site, Sites } from './site.ts';
import { bootName, DEADMAN_MS, LONG_MS, worldAt } from './start.ts';
import { Work } from './work.ts';

const FAULT = { fault: true } as const;

/** Stands for a decision until `told` puts it into words. */
export const DECIDES = 'decides';

const GROUPS: readonly Group[] = ['service', 'slots', 'storage', 'fetch', 'fence'];
const GOOD = { code: 'health.check', message: '' } as const;
const BAD_STORAGE = { code: 'health.storage', message: '' } as const;

/** All moves of one node, each list made once. */
export class Moves {
  readonly #sites: Sites;
  readonly #rules: Rules;
  readonly #known: (readonly Move[] | undefined)[] = [];

  constructor(sites: Sites, rules: Rules) {
    this.#sites = sites;
    this.#rules = rules;
  }

  of(site: Site): readonly Move[] {
    let moves = this.#known[site.id];
    if (moves === undefined) {
      moves = this.#find(site);
      this.#known[site.id] = moves;
    }
    return moves;
  }

  #find(site: Site): Move[] {
    if (site.world === null) return this.#boots(site);
    const s = this.#sites.state(site);
    if (site.busy) {
      const decided = this.#sites.core.machine.settle(s);
      if (decided === undefined) return [];
      return [new Move(DECIDES, 'decide', () => this.#sites.settled(site, decided))];
    }
    return [
      ...GROUPS.flatMap((group) => this.#work(site, group)),
      ...this.#news(site),
      ...this.#time(site, s),
      ...this.#checks(site, s),
      ...this.#operator(site, s),
    ];
  }

  #boots(site: Site): Move[] {
    const { selectBoot } = this.#sites.core.boot;
    const chosen = selectBoot(site.boot, site.counter);
    const moves = [new Move(`boots slot ${chosen.slot}`, 'boot', () => this.#boot(site))];
    if (chosen.reason === 'trial' && this.#rules.faults.has('health')) {
      const counter = { trialId: site.boot.trialId, used: site.boot.tries };
      const say = 'finds that its trial does not boot, and falls back';
      moves.push(new Move(say, 'boot', () => this.#boot({ ...site, counter }), FAULT));
    }
    return moves;
  }

  #boot(site: Parts): Site {
    const { selectBoot } = this.#sites.core.boot;
    const { slot, reason, attempt, save } = selectBoot(site.boot, site.counter);
    const seal = site.seals.system[slot];
    if (seal === null)
      throw new Broken(`node ${site.node} boots slot ${slot}, which is not sealed`);
    const boot = { bootId: bootName(site.node), slot, reason, attempt };
    const world = worldAt(site, boot, this.#rules.takeover);
    const { record, rollout } = site;
    const next = { ...site, counter: save ?? site.counter };
    return this.#sites.settled(next, { record, rollout, world });
  }

  /** What the storage software tells, and a write that it acknowledges alone. */
  #news(site: Site): Move[] {
    const moves: Move[] = [];
    const status = this.#sites.status(site);
    if (this.#sites.values.id(status) !== this.#sites.values.id(site.world?.store ?? null)) {
      const next = (): Site => this.#sites.event(site, { type: 'store', status });
      const { role, connected, local, peer, frozen } = status;
      const words = `${role}, ${connected ? 'connected' : 'alone'}, ${local}/${peer}`;
      const say = `hears of its store: ${words}${frozen ? ', frozen' : ''}`;
      moves.push(new Move(say, 'news', next));
    }
    if (writesAlone(site.copy) && !site.copy.ahead) {
      const next = (): Site => this.#sites.withCopy(site, { ...site.copy, ahead: true });
      moves.push(new Move('acknowledges a write alone', 'write', next));
    }
    return moves;
  }

  /** Pauses are over; within the budget the dead-man time, too. */
  #time(site: Site, s: NodeState): Move[] {
    const { machine } = this.#sites.core;
    const later = (ms: number): NodeState | undefined =>
      machine.step(s, { type: 'tick' }, { ...NOW, ms });
    const long = later(LONG_MS);
    const moves: Move[] = [];
    const news = (next: NodeState): boolean =>
      machine.settle(next) !== undefined ||
      machine.effectsOf(next).length !== machine.effectsOf(s).length;
    if (long !== undefined && news(long)) {
      const next = (): Site => this.#sites.event(site, { type: 'tick' }, LONG_MS);
      moves.push(new Move('finds that the time is over', 'time', next));
    }
    const { state } = s.record.update;
    if (this.#rules.faults.has('deadman') && (state === 'trial' || state === 'healthy')) {
      const next = (): Site => this.#sites.event(site, { type: 'tick' }, DEADMAN_MS);
      moves.push(new Move('heard nothing of the driver for too long', 'time', next, FAULT));
    }
    return moves;
  }

  #checks(site: Site, s: NodeState): Move[] {
    const effects = this.#sites.core.machine.effectsOf(s);
    const check = effects.find((one) => one.do === 'check-health');
    const moves: Move[] = [];
    const { faults } = this.#rules;
    const tell = (say: string, event: Event, fault: boolean, healthy = site.healthy): void => {
      const next = (): Site => this.#sites.event({ ...site, healthy }, event);
      moves.push(new Move(say, 'check', next, { fault }));
    };
    if (check !== undefined) {
      const trialId = check.trial.id;
      const proven = s.record.storage.trial?.proven ?? true;
      const runs = site.storage !== null && s.world.storage !== null;
      if (runs && !proven) {
        tell('finds its new storage healthy', { type: 'storage-proven', trialId }, false);
      }
      const met = s.world.linkUp && s.world.peer !== null;
      if (runs && proven && met) {
        const event: Event = { type: 'health', trialId, reason: null };
        tell('finds its trial healthy', event, false, trialId);
      }
      if (faults.has('health')) {
        const bad = (reason: typeof GOOD | typeof BAD_STORAGE): Event => {
          return { type: 'health', trialId, reason };
        };
        tell('finds its trial not healthy', bad(GOOD), true);
        if (!proven) tell('finds its new storage not healthy', bad(BAD_STORAGE), true);
      }
    }
    if (effects.some((one) => one.do === 'watch-service') && faults.has('health')) {
      const effect = 'watch-service';
      tell('serves badly', { type: 'trouble', effect, reason: GOOD }, true);
    }
    return moves;
  }

  #operator(site: Site, s: NodeState): Move[] {
    const { faults, start } = this.#rules;
    const moves: Move[] = [];
    const tell = (say: string, event: Event, more: Extra = FAULT): void => {
      if (this.#sites.core.machine.step(s, event, NOW) === undefined) return;
      const next = (): Site => this.#sites.event(site, event);
      moves.push(new Move(`is told ${say}`, 'operator', next, more));
    };
    const { rollout, record } = s;
    const paused = (rollout?.paused ?? null) !== null;
    if (faults.has('cancel')) tell('to cancel', { type: 'cancel', by: 'x', reason: 'x' });
    if (faults.has('pause') && !paused) tell('to pause', { type: 'pause', by: 'x' });
    if (paused) tell('to go on', { type: 'pause', by: null }, {});
    if (faults.has('start') && start !== null && rollout === null) {
      tell(`to start ${start.id}`, { type: 'start', record: start });
    }
    if (faults.has('finalize')) tell('to make it permanent', { type: 'finalize' });
    if (faults.has('switchover') && !s.world.switching)
      tell('to hand over', { type: 'switchover' });
    const down = record.standDown?.rollout === 'operator';
    if (faults.has('stand-down') && !down) tell('to stand down', { type: 'stand-down', on: true });
    if (down) tell('that it may take over again', { type: 'stand-down', on: false }, {});
    if (faults.has('takeover')) {
      tell(
        'that its peer is off',
        { type: 'peer-off', word: 'operator' },
        { ...FAULT, with: 'off' },
      );
    }
    return moves;
  }

  /** The next piece of an effect's work. */
  #work(site: Site, group: Group): Move[] {
    const op = site.ops[group];
    if (op === null) return [];
    if (typeof op.stage !== 'number') {
      // The pause before the next try is longer than the way of any news.
      const store = this.#sites.values.id(site.world?.store ?? null);
      if (this.#sites.values.id(this.#sites.status(site)) !== store) return [];
      const ops = { ...site.ops, [group]: { ...op, stage: 0 } };
      const next = (): Site => this.#sites.make({ ...site, ops });
      return [new Move(`${op.effect.do} again`, 'again', next)];
    }
    return new Work(this.#sites, this.#rules.faults, site, group, op, op.stage).moves();
  }
}

/** In which words a node differs after its decision, for a trace. */
export function told(before: Site, after: Site): string {
  const words: string[] = [];
  const put = (name: string, a: unknown, b: unknown): void => {
    const [from, to] = [JSON.stringify(a), JSON.stringify(b)];
    if (from !== to) words.push(`${name} ${from} -> ${to}`);
  };
  const [a, b] = [before.record, after.record];
  put('update', a.update.state, b.update.state);
  put('role', a.role, b.role);
  put('stand-down', a.standDown?.rollout ?? null, b.standDown?.rollout ?? null);
  put('known stale', a.knownStale, b.knownStale);
  put('storage slot', a.storage.current, b.storage.current);
  put('phase', before.rollout?.phase, after.rollout?.phase);
  put('admitted', before.world?.admitted, after.world?.admitted);
  put('draining', before.world?.draining, after.world?.draining);
  const text = words.length === 0 ? 'notes its boot' : words.join(', ').replaceAll('"', '');
  return `decides: ${text}`;
}
