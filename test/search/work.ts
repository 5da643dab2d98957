/**
 * The work of effects, piece by piece: what src/updater/execute.ts does to the world. Always holds:
 * a durable write is one piece, and the event that tells of it is another; a piece that breaks a
 * rule which no state would show (a slot that was never read back is booted or armed, a trial that
 * was never found healthy is committed) ends the search. Only tests import it.
 */
import type { Slot, SlotSeal } from '../../src/core/model.ts';
import type { Job, Target } from '../../src/core/records.ts';
import type { Seals } from '../../src/core/report.ts';
import type { Effect, Event } from '../../src/core/state.ts';
import { Broken, Move, type Extra, type FaultKind } from './move.ts';
import { demote, ended, goAlone } from './replica.ts';
import type { Group, Op, Parts, Site, Sites } from './site.ts';

/** The work of one effect. */
export class Work {
  readonly #sites: Sites;
  readonly #faults: ReadonlySet<FaultKind>;
  readonly #site: Site;
  readonly #group: Group;
  readonly #op: Op;
  readonly #stage: number;

  constructor(
    sites: Sites,
    faults: ReadonlySet<FaultKind>,
    site: Site,
    group: Group,
    op: Op,
    stage: number,
  ) {
    this.#sites = sites;
    this.#faults = faults;
    this.#site = site;
    this.#group = group;
    this.#op = op;
    this.#stage = stage;
  }

  moves(): Move[] {
    const { effect } = this.#op;
    switch (effect.do) {
      case 'run-storage':
        return this.#runStorage(effect.slot);
      case 'serve':
        return this.#serve(effect.epoch);
      case 'release':
        return this.#release();
      case 'go-alone': {
        // The store takes requests and the peer's frames in turns: a word that was given before a
        // session does not count after it.
        const { aborted } = this.#op;
        const copy = aborted ? null : goAlone(this.#site.copy, effect.epoch);
        const good = copy !== null && this.#site.storage !== null;
        return [this.#last('go-alone', good ? { copy } : {}, !good)];
      }
      case 'fetch':
        return this.#fetch(effect);
      case 'install':
        return effect.job.mode === 'return' ? this.#return(effect.job) : this.#install(effect.job);
      case 'arm':
      case 'commit':
      case 'revert':
      case 'close-other-slot':
        return this.#boot(effect);
      case 'reboot':
        return this.#reboot();
      case 'fence':
        return this.#fence(effect);
      default:
        return [];
    }
  }

  #move(say: string, next: () => Site, more: Extra = {}): Move {
    return new Move(say, 'work', next, more);
  }

  #go(say: string, change: Partial<Parts>, stage: number, more: Extra = {}): Move {
    const ops = { ...this.#site.ops, [this.#group]: { ...this.#op, stage } };
    return this.#move(say, () => this.#sites.make({ ...this.#site, ...change, ops }), more);
  }

  #last(say: string, change: Partial<Parts>, failed = false, more: Extra = {}): Move {
    const next = (): Site =>
      this.#sites.worked({ ...this.#site, ...change, ops: this.#over(failed) });
    return this.#move(failed ? `${say} fails` : say, next, more);
  }

  #over(failed: boolean): Site['ops'] {
    const stage = failed ? ('failed' as const) : ('rests' as const);
    const op = this.#op.aborted ? null : { ...this.#op, stage };
    return { ...this.#site.ops, [this.#group]: op };
  }

  /** An event as the last or as one piece of the work. */
  #tell(event: Event, stage: number | 'over'): Move {
    const op = { ...this.#op, stage: stage === 'over' ? 0 : stage };
    const ops = stage === 'over' ? this.#over(false) : { ...this.#site.ops, [this.#group]: op };
    const next = (): Site => this.#sites.event({ ...this.#site, ops }, event);
    return this.#move(`${this.#op.effect.do}: tells ${event.type}`, next);
  }

  #runStorage(slot: Slot): Move[] {
    const seal = this.#site.seals.storage[slot];
    if (this.#stage === 0) {
      if (seal === null) throw new Broken(`node ${this.#site.node} runs storage ${slot}: no seal`);
      const copy = ended(this.#site.copy);
      return [this.#go(`starts the storage software of slot ${slot}`, { storage: slot, copy }, 1)];
    }
    const running = { slot, release: (seal as SlotSeal).release };
    return [this.#tell({ type: 'storage', running }, 'over')];
  }

  #serve(epoch: number): Move[] {
    switch (this.#stage) {
      case 0: {
        if (this.#site.storage === null) return [this.#last('serve', {}, true)];
        const more = { with: 'promote', epoch } as const;
        return [this.#go(`promotes its store for epoch ${epoch}`, {}, 1, more)];
      }
      case 1: {
        const taken = this.#go('takes the service', { serves: true }, 2);
        return this.#op.aborted ? [taken, this.#last('serve', {}, true)] : [taken];
      }
      default:
        return [this.#tell({ type: 'serving', epoch }, 'over')];
    }
  }

  #release(): Move[] {
    switch (this.#stage) {
      case 0:
        return [this.#go('lets the service go', { serves: false }, 1)];
      case 1: {
        if (this.#site.storage === null) return [this.#last('release', {}, true)];
        return [this.#go('demotes its store', { copy: demote(this.#site.copy) }, 2)];
      }
      default:
        return [this.#tell({ type: 'serving', epoch: null }, 'over')];
    }
  }

  #fetch(effect: Effect & { do: 'fetch' }): Move[] {
    const { bundle } = effect;
    const { depot } = this.#site;
    if (this.#stage === 0) {
      const has = depot.includes(bundle);
      return [this.#go('fetches the bundle', { depot: has ? depot : [...depot, bundle] }, 1)];
    }
    return [this.#tell({ type: 'depot', depot, freeBytes: null }, 'over')];
  }

  #return(job: Job): Move[] {
    const good = job.targets.every(({ class: cls, slot, release }) => {
      return this.#site.seals[cls][slot]?.release.counter === release.counter;
    });
    const reason = { code: 'rollback.unavailable', message: '' } as const;
    return [
      good
        ? this.#tell({ type: 'installed', job }, 'over')
        : this.#tell({ type: 'install-failed', job, reason }, 'over'),
    ];
  }

  #install(job: Job): Move[] {
    const site = this.#site;
    const { boot, seals } = site;
    switch (this.#stage) {
      case 0: {
        if (!boot.otherOk) return [this.#go('opens its other slots', { seals: gone() }, 2)];
        const closed = { ...boot, otherOk: false };
        return [this.#go('closes its other slot', { boot: closed }, 1)];
      }
      case 1:
        return [this.#go('opens its other slots', { seals: gone() }, 2)];
      case 2: {
        if (this.#op.aborted) return [this.#go('gives the installation up', {}, 3)];
        const moves = [this.#go('seals its other slots', { seals: sealed() }, 3)];
        if (!this.#faults.has('install')) return moves;
        return [...moves, this.#go('cannot write its slot', {}, 3, { fault: true })];
      }
      case 3:
        return [this.#tell({ type: 'boot-state', state: boot }, 4)];
      case 4:
        return [this.#tell({ type: 'seals', seals }, 5)];
      default: {
        if (this.#op.aborted) return [this.#last('installation', {}, true)];
        const good = job.targets.every((one) => seals[one.class][one.slot] !== null);
        const reason = { code: 'slot.io', message: '' } as const;
        const event: Event = good
          ? { type: 'installed', job }
          : { type: 'install-failed', job, reason };
        return [this.#tell(event, 'over')];
      }
    }

    function gone(): Seals {
      return withSeals(seals, job.targets, () => null);
    }
    function sealed(): Seals {
      const { images = [] } = site.rollout?.to ?? {};
      return withSeals(seals, job.targets, (target) => {
        const image = images.find((one) => one.class === target.class);
        return sealFor(target, image?.runsWith);
      });
    }
  }

  #boot(effect: Effect & { do: 'arm' | 'commit' | 'revert' | 'close-other-slot' }): Move[] {
    const { boot, seals } = this.#site;
    switch (this.#stage) {
      case 0: {
        const next = this.#change(effect);
        // A conflict changes nothing; the boot chooser is looked at again all the same.
        const state = next === null ? boot : { ...next, seq: boot.seq };
        return [this.#go(`${effect.do}: writes its boot chooser`, { boot: state }, 1)];
      }
      case 1: {
        if (effect.do !== 'commit')
          return [this.#tell({ type: 'boot-state', state: boot }, 'over')];
        const { id, slot } = effect.trial;
        const seal = seals.system[slot];
        if (seal === null) return [this.#go('commit: has no seal to mark', {}, 2)];
        const marked = { ...seals.system, [slot]: { ...seal, committed: id } };
        return [this.#go('commit: marks the seal', { seals: { ...seals, system: marked } }, 2)];
      }
      case 2:
        return [this.#tell({ type: 'seals', seals }, 3)];
      default:
        return [this.#tell({ type: 'boot-state', state: boot }, 'over')];
    }
  }

  #change(effect: Effect & { do: 'arm' | 'commit' | 'revert' | 'close-other-slot' }) {
    const { change } = this.#sites.core;
    const { boot, node, healthy, seals } = this.#site;
    try {
      switch (effect.do) {
        case 'arm': {
          const next = change.armTrial(boot, effect.trial);
          if (next !== null && seals.system[effect.trial.slot] === null) {
            throw new Broken(`node ${node} arms slot ${effect.trial.slot}, which is not sealed`);
          }
          return next;
        }
        case 'commit': {
          const next = change.commitTrial(boot, effect.trial.id);
          if (next !== null && healthy !== effect.trial.id) {
            throw new Broken(
              `I4 node ${node} commits trial ${effect.trial.id}, never found healthy`,
            );
          }
          return next;
        }
        case 'revert':
          return change.revertTrial(boot, effect.trial.id);
        case 'close-other-slot':
          return change.changeOtherOk(boot, false);
      }
    } catch (error) {
      if (error instanceof Broken) throw error;
      return null;
    }
  }

  #reboot(): Move[] {
    if (this.#stage === 0) {
      const copy = ended(this.#site.copy);
      return [this.#go('stops its service and storage', { serves: false, storage: null, copy }, 1)];
    }
    return [this.#move('goes down to restart', () => this.#sites.off(this.#site))];
  }

  #fence(effect: Effect & { do: 'fence' }): Move[] {
    if (this.#stage === 0) {
      const killed = this.#go('has its peer switched off', {}, 1, { with: 'kill' });
      if (!this.#faults.has('fence')) return [killed];
      const unknown = { with: 'kill', fault: true } as const;
      return [
        killed,
        this.#last('fence', {}, true, { fault: true }),
        this.#last('switches its peer off, but does not know, so fence', {}, true, unknown),
      ];
    }
    // An order that was given up is about an earlier loss of the link.
    const since = this.#op.aborted ? -1 : effect.since;
    return [this.#tell({ type: 'peer-off', word: 'fence', since }, 'over')];
  }
}

/** Seals with those of the targets changed. */
function withSeals(
  seals: Seals,
  targets: readonly Target[],
  change: (target: Target) => SlotSeal | null,
): Seals {
  const next = { system: { ...seals.system }, storage: { ...seals.storage } };
  for (const target of targets) next[target.class][target.slot] = change(target);
  return next;
}

/** What the installation writes beside a slot. */
export function sealFor(
  target: { readonly class: Target['class']; readonly release: Target['release'] },
  runsWith = '>=1.0.0',
): SlotSeal {
  const digest = `${target.release.counter}`.padStart(64, '0') as SlotSeal['imageId'];
  return {
    imageId: digest,
    rawBytes: 1,
    rawSha256: digest,
    release: target.release,
    runsWith,
    committed: null,
  };
}
