/**
 * The settings that a pair can be searched under: order, takeover policy, and whether the new storage
 * software runs under the old system. Only tests import it.
 */
import type { Scenario } from './scenario.ts';

/** A search by name. */
export interface Setting extends Scenario {
  readonly name: string;
}

const STORAGE: readonly (readonly [word: string, runsWith: string | null])[] = [
  ['compatible', '>=1.0.0'],
  ['strict', '>=2.0.0'],
  ['none', null],
];

/** Both orders, both policies, every kind of storage. */
export function updates(faults: number): readonly Setting[] {
  return (['active-first', 'standby-first'] as const).flatMap((order) =>
    (['manual', 'fence'] as const).flatMap((takeover) =>
      STORAGE.map(([word, storageRunsWith]) => {
        const name = `${order} ${takeover} ${word}`;
        return { name, order, takeover, storageRunsWith, faults };
      }),
    ),
  );
}
