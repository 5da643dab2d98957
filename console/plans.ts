/**
 * What the console asks of the world: reads and changes of the daemon, logins, a look for bundles,
 * leaving. Always holds: a change is asked only with the plan that a person has confirmed. Pure;
 * imports core and the shape of a request.
 */
import type { BundleSource } from '../src/control/backend.ts';
import type { NodeId } from '../src/core/model.ts';
import type { TakeoverView } from '../src/core/operator.ts';
import type { PowerView } from '../src/core/power.ts';
import type { SettingKey } from '../src/core/settings.ts';
import type { Action } from './actions.ts';

/** A change that a person may confirm. */
export type Plan =
  | { readonly do: 'update'; readonly source: BundleSource; readonly version: string }
  | { readonly do: 'rollback'; readonly version: string }
  | { readonly do: 'commit'; readonly version: string }
  /** Answers to a scheduled update; `what` says which update it is. */
  | {
      readonly do: 'schedule-now' | 'schedule-cancel';
      readonly id: string;
      readonly what: string;
    }
  | {
      readonly do: 'schedule-defer';
      readonly id: string;
      readonly what: string;
      readonly minutes: number;
    }
  | { readonly do: 'pause' }
  | { readonly do: 'resume' }
  | { readonly do: 'cancel'; readonly job: string; readonly version: string }
  | { readonly do: 'switchover'; readonly to: NodeId }
  | { readonly do: 'stand-down'; readonly node: NodeId }
  | { readonly do: 'end-stand-down'; readonly node: NodeId }
  | { readonly do: 'takeover'; readonly view: TakeoverView }
  /** `force` gets past the refusal in the view. */
  | { readonly do: 'restart' | 'shutdown'; readonly view: PowerView; readonly force: boolean }
  | { readonly do: 'support' }
  | { readonly do: 'support-delete'; readonly name: string }
  | { readonly do: 'setting'; readonly key: SettingKey; readonly value: string }
  | { readonly do: 'take-operator' | 'release-operator' }
  | { readonly do: 'force-operator'; readonly from: string }
  | { readonly do: 'recovery' | 'unlock'; readonly user: string }
  /** A shell on this terminal, until it ends. */
  | { readonly do: 'shell' };

/** What is asked of the world outside the model. */
export type Ask =
  | { readonly ask: 'change'; readonly plan: Plan; readonly reason: string }
  | { readonly ask: 'check'; readonly source: BundleSource }
  | { readonly ask: 'login'; readonly user: string; readonly password: string }
  | {
      readonly ask: 'recover';
      readonly user: string;
      readonly code: string;
      readonly password: string;
    }
  | { readonly ask: Look }
  | { readonly ask: 'logout' }
  | { readonly ask: 'redraw' | 'leave' };

/** Asks that only look. */
export type Look =
  'bundles' | 'history' | 'audit' | 'takeover' | 'power' | 'support' | 'settings' | 'users';

/** The path or id of a bundle as it stands on a command line. */
export function sourceWord(source: BundleSource): string {
  if ('prepared' in source) return source.prepared;
  return 'path' in source ? source.path : source.bundle;
}

/** The action that a plan belongs to, in the table of what is possible. */
export function actionOf(plan: Plan): Action {
  return plan.do;
}
