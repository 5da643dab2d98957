/**
 * What the console asks of the daemon, as calls of the control client: each ask becomes the request
 * that the command line would send, each answer a value for the model. Always holds: nothing is
 * decided here; what the daemon refuses comes back as it was said. Imports core and the control
 * client.
 */
import type { JobRequest } from '../src/control/backend.ts';
import type { ControlClient } from '../src/control/client.ts';
import type { OperatorRequest } from '../src/core/access.ts';
import { UpdateError } from '../src/core/errors.ts';
import { bundleFiles, earlierBundles, stagedBundles } from './bundles.ts';
import type { Ask, Plan } from './plans.ts';
import type { Answer } from './state.ts';

/** Where a person sits, for other people; as far as it is known. */
export interface Seat {
  readonly tty?: string;
  readonly remote?: string;
}

/** Runs a service shell until it ends or `signal` aborts; throws why none could be opened. */
export type OpenShell = (reason: string, signal: AbortSignal) => Promise<string>;

/** What asks are carried out with. */
export interface Outside {
  readonly client: ControlClient;
  /** Folders in which bundles are looked for. */
  readonly bundleRoots: readonly string[];
  readonly seat: Seat;
  /** Opens a service shell on this terminal; its outcome. Absent where there is no screen. */
  readonly openShell?: OpenShell | undefined;
  readonly signal: AbortSignal;
}

/** Asks that have an answer. */
export type Answered = Exclude<Ask, { readonly ask: 'leave' | 'redraw' }>;

/** Seconds for which a recovery code from a console is valid. */
const RECOVERY_S = 3600;

/** Asks the daemon; throws what it refuses. */
export async function carryOut(ask: Answered, outside: Outside): Promise<Answer> {
  const { client, seat, signal } = outside;
  switch (ask.ask) {
    case 'change':
      if (ask.plan.do === 'shell') return shell(ask.reason, outside);
      return change(ask.plan, ask.reason, client, signal);
    case 'check': {
      const report = await client.precheck(ask.source, signal);
      return { kind: 'checks', source: ask.source, report };
    }
    case 'login': {
      const { user, password } = ask;
      return {
        kind: 'session',
        view: await client.access.login({ user, password, ...seat }, signal),
      };
    }
    case 'recover': {
      const { user, code, password } = ask;
      const request = { user, code, password, ...seat };
      return { kind: 'session', view: await client.access.recover(request, signal) };
    }
    case 'logout':
      await client.access.logout(signal);
      return { kind: 'nothing' };
    case 'bundles':
      return { kind: 'bundles', bundles: await bundles(outside) };
    default:
      return look(ask, client, signal);
  }
}

type Look = Exclude<
  Answered,
  { readonly ask: 'change' | 'check' | 'login' | 'recover' | 'logout' }
>;

async function look({ ask }: Look, client: ControlClient, signal: AbortSignal): Promise<Answer> {
  switch (ask) {
    case 'bundles':
      return { kind: 'bundles', bundles: [] };
    case 'history':
      return { kind: 'history', rollouts: await client.history(undefined, signal) };
    case 'audit':
      return { kind: 'audit', entries: await client.audit(undefined, signal) };
    case 'takeover':
      return { kind: 'takeover', view: await client.takeover(signal) };
    case 'power':
      return { kind: 'power', views: await client.power(signal) };
    case 'support':
      return { kind: 'support', view: await client.support(signal) };
    case 'settings':
      return { kind: 'settings', view: await client.settings(signal) };
    case 'users':
      return { kind: 'users', view: await client.access.users(signal) };
  }
}

/** Staged ones first: they are verified and need no medium; then files, then those of the past. */
async function bundles({ client, bundleRoots, signal }: Outside) {
  const staged = stagedBundles(await client.bundles(signal).catch(() => []));
  const files = await bundleFiles(bundleRoots);
  const rollouts = await client.history(undefined, signal).catch(() => []);
  const here = new Set(staged.map(({ source }) => ('bundle' in source ? source.bundle : '')));
  const earlier = earlierBundles(rollouts).filter(
    ({ source }) => !('bundle' in source && here.has(source.bundle)),
  );
  return [...staged, ...files, ...earlier];
}

const changed = (message: string, job: string | null = null): Answer => ({
  kind: 'changed',
  message,
  job,
});

async function shell(reason: string, { openShell, signal }: Outside): Promise<Answer> {
  if (openShell === undefined) {
    const message = 'a service shell needs a terminal with screens; this console has lines alone';
    throw new UpdateError('usage.invalid', message);
  }
  return changed(`The service shell is closed: ${await openShell(reason, signal)}.`);
}

async function change(
  plan: Exclude<Plan, { readonly do: 'shell' }>,
  reason: string,
  client: ControlClient,
  signal: AbortSignal,
): Promise<Answer> {
  const why = reason === '' ? {} : { reason };
  const job = async (request: JobRequest) => client.start(request, signal);
  switch (plan.do) {
    case 'update': {
      const { id } = await job({ kind: 'update', source: plan.source, ...why });
      return changed(`update ${id} has begun`, id);
    }
    case 'rollback':
    case 'commit': {
      const { id } = await job({ kind: plan.do, ...why });
      return changed(`${plan.do} ${id} has begun`, id);
    }
    case 'schedule-now':
    case 'schedule-cancel': {
      const answer = plan.do === 'schedule-now' ? 'now' : 'cancel';
      return changed((await client.answerSchedule(plan.id, { answer, ...why }, signal)).text);
    }
    case 'schedule-defer': {
      const word = { answer: 'defer', minutes: plan.minutes, ...why } as const;
      return changed((await client.answerSchedule(plan.id, word, signal)).text);
    }
    case 'cancel': {
      const { id } = await client.cancel(plan.job, signal, why.reason);
      return changed(`${id} is being cancelled`);
    }
    case 'restart':
    case 'shutdown': {
      const force = plan.force ? { force: true } : {};
      const { id, message } = await job({ kind: plan.do, ...force, ...why });
      return { kind: 'changed', message: `${id}: ${message}`, job: null, home: true };
    }
    case 'support': {
      const { id } = await job({ kind: 'support', ...why });
      return { kind: 'making', job: id };
    }
    case 'support-delete':
      await client.deleteSupport(plan.name, signal);
      return { kind: 'support', view: await client.support(signal) };
    case 'setting':
      await client.set({ key: plan.key, value: plan.value, ...why }, signal);
      return { kind: 'settings', view: await client.settings(signal) };
    case 'take-operator':
    case 'release-operator':
    case 'force-operator': {
      const { message } = await client.access.operator(operatorRequest(plan, why), signal);
      return changed(message);
    }
    case 'recovery': {
      const request = { do: 'recovery', name: plan.user, validS: RECOVERY_S } as const;
      const { code = '', user } = await client.access.changeUser(request, signal);
      const leftS = user?.recoveryS ?? RECOVERY_S;
      return { kind: 'recovery', made: { user: plan.user, code, leftS } };
    }
    case 'unlock':
      await client.access.changeUser({ do: 'unlock', name: plan.user }, signal);
      return { kind: 'users', view: await client.access.users(signal) };
    default: {
      const { message } = await client.act(actOf(plan, reason), signal);
      return changed(message);
    }
  }
}

function operatorRequest(
  plan: Extract<Plan, { readonly do: `${string}-operator` }>,
  why: { readonly reason?: string },
): OperatorRequest {
  if (plan.do === 'release-operator') return { do: 'release', ...why };
  return { do: 'take', ...(plan.do === 'force-operator' ? { force: true } : {}), ...why };
}

type RolePlan = Extract<
  Plan,
  { readonly do: 'switchover' | 'takeover' | 'stand-down' | 'end-stand-down' | 'pause' | 'resume' }
>;

function actOf(plan: RolePlan, reason: string): Parameters<ControlClient['act']>[0] {
  const why = reason === '' ? {} : { reason };
  switch (plan.do) {
    case 'takeover':
      return { act: 'takeover', peer: plan.view.peer, reason };
    case 'stand-down':
      return { act: 'stand-down', on: true, ...why };
    case 'end-stand-down':
      return { act: 'stand-down', on: false, ...why };
    default:
      return { act: plan.do, ...why };
  }
}
