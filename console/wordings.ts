/**
 * How each change is put to a person: what it does in words, what must be typed, and the command
 * that does the same. Always holds: a change that costs something says what, and wants a typed word
 * and a reason; the answer is No until all of it stands there. Pure; imports core and the plans.
 */
import { minutesText } from '../src/cli/render-schedule.ts';
import type { PowerView } from '../src/core/power.ts';
import { sourceWord, type Plan } from './plans.ts';

/** How a change is confirmed. */
export interface Wording {
  readonly title: string;
  /** What happens, a sentence each. */
  readonly effects: readonly string[];
  /** The word that has to be typed. */
  readonly word: string;
  /** False when the audit log may stay without a reason; null when none is asked for. */
  readonly reasonNeeded: boolean | null;
  /** The command line that does the same, without its reason. */
  readonly command: string;
}

type Words = Omit<Wording, 'word' | 'reasonNeeded' | 'command'>;

const RESTARTS = 'Each node restarts once; the service moves away before, so it goes on.';
const WORD = 'tandem schedule';
const NO_COMMAND = 'no command; as root, `tandem` needs no such right.';

/** The word and the reason of a change that costs nothing. */
const easy = (words: Words, command: string): Wording => ({
  ...words,
  word: 'yes',
  reasonNeeded: false,
  command,
});

/** A change that wants its own word and a reason. */
const grave = (words: Words, word: string, command: string): Wording => ({
  ...words,
  word,
  reasonNeeded: true,
  command,
});

type ScheduleWord = 'schedule-now' | 'schedule-defer' | 'schedule-cancel';
type UpdateWord = 'update' | 'rollback' | 'commit' | 'cancel' | 'pause' | 'resume';
type RoleWord = 'switchover' | 'stand-down' | 'end-stand-down' | 'takeover';

/** How the change is put to a person. */
export function wordingOf(plan: Plan): Wording {
  switch (plan.do) {
    case 'update':
    case 'rollback':
    case 'commit':
    case 'cancel':
    case 'pause':
    case 'resume':
      return updateWording(plan);
    case 'schedule-now':
    case 'schedule-defer':
    case 'schedule-cancel':
      return scheduleWording(plan);
    case 'switchover':
    case 'stand-down':
    case 'end-stand-down':
    case 'takeover':
      return roleWording(plan);
    default:
      return nodeWording(plan);
  }
}

function updateWording(plan: Extract<Plan, { readonly do: UpdateWord }>): Wording {
  switch (plan.do) {
    case 'update': {
      const effects = [
        RESTARTS,
        'While a node restarts there is no high availability.',
        'What runs now is kept until the new version is made permanent.',
      ];
      const title = `Update both nodes to ${plan.version}`;
      return grave({ title, effects }, plan.version, `tandem update ${sourceWord(plan.source)}`);
    }
    case 'rollback': {
      const effects = [RESTARTS, 'While a node restarts there is no high availability.'];
      const title = `Return both nodes to ${plan.version}`;
      return grave({ title, effects }, plan.version, 'tandem rollback');
    }
    case 'commit': {
      const effects = [
        'What the other slots hold cannot be returned to afterwards.',
        'Nothing restarts.',
      ];
      const title = `Make ${plan.version} permanent`;
      return grave({ title, effects }, plan.version, 'tandem commit');
    }
    case 'cancel': {
      const effects = ['Nodes that run the new version return to the old one and restart for it.'];
      const title = `Cancel the update to ${plan.version}`;
      return grave({ title, effects }, 'cancel', `tandem job cancel ${plan.job}`);
    }
    case 'pause': {
      const effects = ['It rests at its next safe point, where high availability is up.'];
      return easy({ title: 'Pause the update', effects }, 'tandem job pause');
    }
    case 'resume': {
      const effects = ['It goes on from where it rests.'];
      return easy({ title: 'Let the update go on', effects }, 'tandem job resume');
    }
  }
}

function scheduleWording(plan: Extract<Plan, { readonly do: ScheduleWord }>): Wording {
  const { id, what } = plan;
  switch (plan.do) {
    case 'schedule-now': {
      const effects = [
        RESTARTS,
        'It waits still while no window is open, or a file stops updates.',
      ];
      return grave({ title: `Begin the update ${what} now`, effects }, 'now', `${WORD} now ${id}`);
    }
    case 'schedule-defer': {
      const time = minutesText(plan.minutes);
      const effects = ['It begins by itself at its new time.'];
      const title = `Put the update ${what} off for ${time}`;
      return easy({ title, effects }, `${WORD} defer ${id} --for ${time}`);
    }
    case 'schedule-cancel': {
      const effects = ['It does not begin any more, its repetitions neither. Nothing restarts.'];
      const title = `Cancel the scheduled update ${what}`;
      return grave({ title, effects }, 'cancel', `${WORD} cancel ${id}`);
    }
  }
}

function roleWording(plan: Extract<Plan, { readonly do: RoleWord }>): Wording {
  switch (plan.do) {
    case 'switchover': {
      const effects = ['Clients see a short gap.', 'No acknowledged write is lost.'];
      const title = `Let node ${plan.to} serve`;
      return grave({ title, effects }, `node ${plan.to}`, 'tandem switchover');
    }
    case 'stand-down': {
      const effects = [
        `Node ${plan.node} promises not to take over, until that is ended here.`,
        'There is no high availability as long as the promise stands.',
      ];
      const title = `Node ${plan.node} stands down`;
      return grave({ title, effects }, `node ${plan.node}`, 'tandem stand-down');
    }
    case 'end-stand-down': {
      const effects = ['High availability comes back once the storage is in sync.'];
      const title = `Node ${plan.node} may take over again`;
      return easy({ title, effects }, 'tandem stand-down --end');
    }
    case 'takeover': {
      const { view } = plan;
      const effects = [`${view.does}.`, ...view.costs];
      return grave(
        { title: `Say that node ${view.peer} is off`, effects },
        view.word,
        'tandem takeover',
      );
    }
  }
}

function powerWording(view: PowerView, force: boolean): Wording {
  const name = view.kind === 'restart' ? 'Restart' : 'Shut down';
  const anyway = force ? ', whatever it costs' : '';
  const effects = [sentence(view.does), ...view.costs.map(sentence)];
  const command = `tandem ${view.kind}${force ? ' --force' : ''}`;
  return grave({ title: `${name} node ${view.node}${anyway}`, effects }, view.word, command);
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

function nodeWording(
  plan: Exclude<Plan, { readonly do: UpdateWord | ScheduleWord | RoleWord }>,
): Wording {
  switch (plan.do) {
    case 'restart':
    case 'shutdown':
      return powerWording(plan.view, plan.force);
    case 'support': {
      const effects = ['It takes about a minute, and the service does not notice.'];
      return easy({ title: 'Make a support bundle on this node', effects }, 'tandem support');
    }
    case 'support-delete': {
      const effects = ['It is gone for good; the logs that it was made from stay.'];
      const words = { title: `Delete ${plan.name}`, effects };
      const command = `tandem support delete ${plan.name}`;
      return { ...easy(words, command), reasonNeeded: null };
    }
    case 'setting': {
      const words = { title: `Set ${plan.key} to ${plan.value}`, effects: [] };
      return easy(words, `tandem settings set ${plan.key} ${plan.value}`);
    }
    case 'take-operator': {
      const effects = ['Nobody else at a console changes the pair until you give it back.'];
      return easy({ title: 'Take the right to change the pair', effects }, NO_COMMAND);
    }
    case 'release-operator': {
      const effects = ['What you have begun goes on.'];
      return easy({ title: 'Give back the right to change the pair', effects }, NO_COMMAND);
    }
    case 'force-operator': {
      const effects = [`${plan.from} holds it: talk to them first. They see that you took it.`];
      const title = `Take the right to change from ${plan.from}`;
      return grave({ title, effects }, plan.from, NO_COMMAND);
    }
    case 'recovery': {
      const effects = [
        `${plan.user} can set a new password with it, once, before it ends.`,
        'An older code of this user does not count any more.',
      ];
      const words = { title: `Make a recovery code for ${plan.user}`, effects };
      return { ...easy(words, `tandem user recovery ${plan.user}`), reasonNeeded: null };
    }
    case 'shell': {
      const effects = [
        'A shell of the user that this console runs as; it can do what that user can.',
        'Its begin and its end are in the audit log, what is typed is not.',
      ];
      const words = { title: 'Open a service shell here', effects };
      return grave(words, 'shell', 'no command; it needs this terminal.');
    }
    case 'unlock': {
      const effects = ['Failed logins of this user are forgotten.'];
      const words = { title: `Let ${plan.user} try to log in again`, effects };
      return { ...easy(words, `tandem user unlock ${plan.user}`), reasonNeeded: null };
    }
  }
}
