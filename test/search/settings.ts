/**
 * Which searches there are: every setting of an update and of a rollback, policies for a second
 * node that fails, operators, and every order of steps; and the few of them that `npm test` has
 * time for. Always holds: names are unique, and a search means the same under its name. Only tests
 * import it.
 */
import type { FaultKind } from './move.ts';
import { EVERY, type Scenario } from './scenario.ts';

/** A search by name. */
export interface Setting extends Scenario {
  readonly name: string;
}

const ORDERS = ['active-first', 'standby-first'] as const;
const TAKEOVERS = ['manual', 'fence'] as const;
const STORAGE: readonly (readonly [word: string, runsWith: string | null])[] = [
  ['compatible', '>=1.0.0'],
  ['strict', '>=2.0.0'],
  ['none', null],
];

/** Both orders, both takeover policies, storage that runs anywhere, on the new system, or none. */
export function settings(
  word: string,
  faults: number,
  more: Partial<Scenario> = {},
): readonly Setting[] {
  return ORDERS.flatMap((order) =>
    TAKEOVERS.flatMap((takeover) =>
      STORAGE.map(([storage, storageRunsWith]) => {
        const name = [word, order, takeover, storage].join(' ');
        return { name, order, takeover, storageRunsWith, faults, ...more };
      }),
    ),
  );
}

/** Those of one kind of storage. */
const strict = (one: Setting): boolean => one.storageRunsWith === '>=2.0.0';

/** One of them by the end of its name. */
function named(all: readonly Setting[], end: string): Setting {
  const found = all.find(({ name }) => name.endsWith(end));
  if (found === undefined) throw new Error(`there is no search ${end}`);
  return found;
}

/** `npm test`, one fault: every setting, and every kind of fault and operator in some of them. */
export function withOneFault(): readonly Setting[] {
  const every = { kinds: EVERY };
  const back = settings('rollback, any fault,', 1, { ...every, begin: 'rollback' });
  const there = settings('update, any fault,', 1, every);
  return [
    ...settings('update', 1),
    named(there, 'active-first fence strict'),
    named(there, 'standby-first manual compatible'),
    named(back, 'active-first fence strict'),
    named(back, 'standby-first manual compatible'),
  ];
}

/** `npm test`, two faults: each order and each policy once. */
export function withTwoFaults(): readonly Setting[] {
  const all = settings('update', 2);
  return [
    named(all, 'active-first fence strict'),
    named(all, 'standby-first manual compatible'),
    { ...named(all, 'active-first fence none'), name: 'operators', begin: 'none', kinds: EVERY },
  ];
}

/** `npm test`, every order of steps, without faults. */
export function inAnyOrder(): readonly Setting[] {
  const all = settings('any order', 0, { anyOrder: true });
  return [
    named(all, 'active-first fence strict'),
    named(all, 'standby-first manual compatible'),
    named(all, 'active-first manual none'),
  ];
}

/** Kinds that a single fault in every order of steps is searched for, one kind at a time. */
const ONE_BY_ONE = EVERY.filter((kind) => kind !== 'slow' && kind !== 'start');
/** After these a pair has so much to do at once that an update in every order takes hours. */
const LONG: ReadonlySet<FaultKind> = new Set(['crash', 'link', 'restart']);

/**
 * `npm run search`: all of it, in the order in which it is done. `deep` adds what may take hours
 * and more memory than there is; such a search says that it was cut short.
 */
export function everything(faults: number, deep: boolean): readonly Setting[] {
  const fewer = Math.max(1, faults - 1);
  const any = { kinds: EVERY };
  const single = ONE_BY_ONE.flatMap((kind) => oneKind(kind));
  const long = single.filter(({ kinds, takeover }) => {
    return takeover === 'fence' || kinds?.some((kind) => LONG.has(kind)) === true;
  });
  return [
    ...settings('operators', faults, { ...any, begin: 'none' }).filter(strict),
    ...settings('any order', 0, { anyOrder: true }),
    ...settings('at rest, any order,', 1, {
      anyOrder: true,
      begin: 'none',
      kinds: [...LONG, 'serial', 'switchover', 'stand-down', 'takeover'],
    }).filter((one) => strict(one) && one.takeover === 'manual'),
    ...single.filter((one) => !long.includes(one)),
    ...settings('update, any fault,', fewer, any),
    ...settings('rollback, any fault,', fewer, { ...any, begin: 'rollback' }),
    ...policies(faults),
    ...settings('update', faults),
    ...(deep ? long : []),
  ];
}

/** A second node that fails once more than it is tried. */
function policies(faults: number): readonly Setting[] {
  const kinds: readonly FaultKind[] = ['health', 'install', 'crash', 'link', 'cancel'];
  return (['hold', 'rollback'] as const).flatMap((onSecondFailure) =>
    [0, 1].flatMap((retries) =>
      settings(`${onSecondFailure} after ${retries} retries,`, faults, {
        onSecondFailure,
        retries,
        kinds,
      }).filter(strict),
    ),
  );
}

/** One fault of one kind in every order of steps: together these are all with one fault. */
function oneKind(kind: FaultKind): readonly Setting[] {
  const more = { anyOrder: true, kinds: [kind] };
  return settings(`any order, one ${kind},`, 1, more).filter(strict);
}
