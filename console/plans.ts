/**
 * What the console asks of the world: reads and changes of the daemon, a look for bundles, leaving.
 * For each change: what it does in words, what must be typed, and the command that does the same.
 * Always holds: a change that cannot be taken back wants a typed word and a reason. Pure; imports
 * core and the shape of a request.
 */
import type { BundleSource } from '../src/control/backend.ts';
import type { NodeId } from '../src/core/model.ts';
import type { TakeoverView } from '../src/core/operator.ts';
import type { Action } from './actions.ts';

/** A change that a person may confirm. */
export type Plan =
  | { readonly do: 'update'; readonly source: BundleSource; readonly version: string }
  | { readonly do: 'rollback'; readonly version: string }
  | { readonly do: 'commit'; readonly version: string }
  | { readonly do: 'pause' }
  | { readonly do: 'resume' }
  | { readonly do: 'cancel'; readonly job: string; readonly version: string }
  | { readonly do: 'switchover'; readonly to: NodeId }
  | { readonly do: 'stand-down'; readonly node: NodeId }
  | { readonly do: 'end-stand-down'; readonly node: NodeId }
  | { readonly do: 'takeover'; readonly view: TakeoverView };

/** What is asked of the world outside the model. */
export type Ask =
  | { readonly ask: 'change'; readonly plan: Plan; readonly reason: string }
  | { readonly ask: 'check'; readonly source: BundleSource }
  | { readonly ask: 'bundles' }
  | { readonly ask: 'history' }
  | { readonly ask: 'audit' }
  | { readonly ask: 'takeover' }
  | { readonly ask: 'redraw' }
  | { readonly ask: 'leave' };

/** How a change is confirmed. */
export interface Wording {
  readonly title: string;
  /** What happens, a sentence each. */
  readonly effects: readonly string[];
  /** The word that has to be typed. */
  readonly word: string;
  /** False when the audit log may stay without a reason. */
  readonly reasonNeeded: boolean;
  /** The command line that does the same, without its reason. */
  readonly command: string;
}

const RESTARTS = 'Each node restarts once; the service moves away before, so it goes on.';

/** The path or id of a bundle as it stands on a command line. */
export function sourceWord(source: BundleSource): string {
  return 'path' in source ? source.path : source.bundle;
}

/** How the change is put to a person. */
export function wordingOf(plan: Plan): Wording {
  switch (plan.do) {
    case 'update':
      return {
        title: `Update both nodes to ${plan.version}`,
        effects: [
          RESTARTS,
          'While a node restarts there is no high availability.',
          'The old version is kept until the new one is made permanent.',
        ],
        word: plan.version,
        reasonNeeded: true,
        command: `tandem update ${sourceWord(plan.source)}`,
      };
    case 'rollback':
      return {
        title: `Return both nodes to ${plan.version}`,
        effects: [RESTARTS, 'While a node restarts there is no high availability.'],
        word: plan.version,
        reasonNeeded: true,
        command: 'tandem rollback',
      };
    case 'commit':
      return {
        title: `Make ${plan.version} permanent`,
        effects: ['The old version can not be returned to afterwards.', 'Nothing restarts.'],
        word: plan.version,
        reasonNeeded: true,
        command: 'tandem commit',
      };
    case 'cancel':
      return {
        title: `Cancel the update to ${plan.version}`,
        effects: ['Nodes that run the new version return to the old one and restart for it.'],
        word: 'cancel',
        reasonNeeded: true,
        command: `tandem job cancel ${plan.job}`,
      };
    default:
      return roleWording(plan);
  }
}

function roleWording(
  plan: Exclude<Plan, { readonly do: 'update' | 'rollback' | 'commit' | 'cancel' }>,
): Wording {
  switch (plan.do) {
    case 'pause':
      return {
        title: 'Pause the update',
        effects: ['It rests at its next safe point, where high availability is up.'],
        word: 'yes',
        reasonNeeded: false,
        command: 'tandem job pause',
      };
    case 'resume':
      return {
        title: 'Let the update go on',
        effects: ['It goes on from where it rests.'],
        word: 'yes',
        reasonNeeded: false,
        command: 'tandem job resume',
      };
    case 'switchover':
      return {
        title: `Let node ${plan.to} serve`,
        effects: ['Clients see a short gap.', 'No acknowledged write is lost.'],
        word: `node ${plan.to}`,
        reasonNeeded: true,
        command: 'tandem switchover',
      };
    case 'stand-down':
      return {
        title: `Node ${plan.node} stands down`,
        effects: [
          `Node ${plan.node} promises not to take over, until that is ended here.`,
          'There is no high availability as long as the promise stands.',
        ],
        word: `node ${plan.node}`,
        reasonNeeded: true,
        command: 'tandem stand-down',
      };
    case 'end-stand-down':
      return {
        title: `Node ${plan.node} may take over again`,
        effects: ['High availability comes back once the storage is in sync.'],
        word: 'yes',
        reasonNeeded: false,
        command: 'tandem stand-down --end',
      };
    case 'takeover':
      return {
        title: `Say that node ${plan.view.peer} is off`,
        effects: [`${plan.view.does}.`, ...plan.view.costs],
        word: plan.view.word,
        reasonNeeded: true,
        command: 'tandem takeover',
      };
  }
}

/** The action that a plan belongs to, in the table of what is possible. */
export function actionOf(plan: Plan): Action {
  return plan.do;
}
