/**
 * The verbs of users: who may log in at the console of this node. Always holds: they go through the
 * control socket, so root needs no password for them; a password is never an argument and never
 * printed; a recovery code is printed once. Imports core, the control client and its own folder.
 */
import { ROLES, type Role, type UserAnswer, type UserRequest } from '../core/access.ts';
import type { UsersView, UserView } from '../core/access.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { RECOVERY_S } from '../control/access-protocol.ts';
import { duration, plain, stamp, wrap } from './render.ts';
import { newPassword, PASSWORD_OPTION } from './secret.ts';
import { CLIENT_OPTIONS, connect, flag, oneOf, printJson, printLines, text } from './values.ts';
import { renderOptions } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function change(request: UserRequest, values: VerbValues, io: CliIo): Promise<UserAnswer> {
  const client = await connect(values, io);
  return client.access.changeUser(request, io.signal);
}

function print(answer: UserAnswer, values: VerbValues, io: CliIo): number {
  if (flag(values, 'json')) printJson(io, answer);
  else printLines(io, wrap(`${plain(answer.message, renderOptions(io))}.`, io.columns || 80));
  return EXIT.done;
}

async function add([name = '']: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const role = oneOf(values, 'role', ROLES);
  if (role === undefined) {
    throw new UpdateError('usage.invalid', `--role is missing; accepted: ${ROLES.join(', ')}`);
  }
  const password = await newPassword(name, values, io);
  return print(await change({ do: 'add', name, role, password }, values, io), values, io);
}

async function passwd(
  [name = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const password = await newPassword(name, values, io);
  return print(await change({ do: 'passwd', name, password }, values, io), values, io);
}

async function remove(
  [name = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const confirm = flag(values, 'yes') || flag(values, 'json') ? undefined : io.confirm;
  if (confirm !== undefined && !(await confirm(`Remove the user ${name}?`))) {
    throw new UpdateError('job.cancelled', 'nothing was removed: the answer was not yes');
  }
  return print(await change({ do: 'remove', name }, values, io), values, io);
}

async function role(
  [name = '', word = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const found: Role | undefined = ROLES.find((one) => one === word);
  if (found === undefined) {
    const message = `${word} is not a role; accepted: ${ROLES.join(', ')}`;
    throw new UpdateError('usage.invalid', message);
  }
  return print(await change({ do: 'role', name, role: found }, values, io), values, io);
}

async function unlock([name]: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const request = { do: 'unlock', ...(name === undefined ? {} : { name }) } as const;
  return print(await change(request, values, io), values, io);
}

async function recovery(
  [name = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const validS = secondsOf(text(values, 'expires'));
  const request = { do: 'recovery', name, ...(validS === undefined ? {} : { validS }) } as const;
  const answer = await change(request, values, io);
  if (flag(values, 'json')) {
    printJson(io, answer);
    return EXIT.done;
  }
  const leftS = answer.user?.recoveryS ?? 0;
  printLines(io, [answer.code ?? '']);
  io.err(
    `${name} sets a new password with it on the login screen, once. It is shown only now.\n` +
      `It is valid for ${spell(leftS)} that the daemon runs, about until ` +
      `${stamp(new Date(Date.now() + leftS * 1000).toISOString(), renderOptions(io))}.\n`,
  );
  return EXIT.done;
}

/** Seconds of `90m`, `24h` or `7d`; throws `usage.invalid`. */
function secondsOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(word) ?? [];
  const seconds = Number(digits) * ({ m: 60, h: 3600, d: 24 * 3600 }[unit] ?? NaN);
  if (seconds >= RECOVERY_S.min && seconds <= RECOVERY_S.max) return seconds;
  const accepted = `minutes, hours or days such as 30m, 24h, 7d, from 5m to 7d`;
  throw new UpdateError('usage.invalid', `--expires is ${word}; accepted: ${accepted}`);
}

/** A validity as people say it. */
function spell(seconds: number): string {
  if (seconds >= 2 * 3600) return `${Math.round(seconds / 3600)} hours`;
  return `${Math.round(seconds / 60)} minutes`;
}

async function list(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const view = await client.access.users(io.signal);
  if (flag(values, 'json')) printJson(io, view);
  else printLines(io, rows(view, io));
  return EXIT.done;
}

function rows({ users, unknownLockedS }: UsersView, io: CliIo): readonly string[] {
  const none = ['No user: nobody can log in. Run: tandem user add NAME --role administrator'];
  const width = Math.max(...users.map(({ name }) => name.length), 0);
  const lines = users.map((user) => `${user.name.padEnd(width)}  ${rowOf(user, io)}`);
  const locked = `No login with an unknown name is accepted for ${duration(unknownLockedS)}.`;
  return [...(users.length === 0 ? none : lines), ...(unknownLockedS > 0 ? [locked] : [])];
}

function rowOf(user: UserView, io: CliIo): string {
  const { role, sessions, lockedS, failures, recoveryS, passwordAt } = user;
  const facts = [
    `password of ${stamp(passwordAt, renderOptions(io))}`,
    ...(sessions === 0 ? [] : [`logged in${sessions > 1 ? ` ${sessions} times` : ''}`]),
    ...(failures === 0 ? [] : [`failed logins: ${failures}`]),
    ...(lockedS === 0 ? [] : [`LOCKED for ${duration(lockedS)}`]),
    ...(recoveryS === null ? [] : [`recovery code for ${duration(recoveryS)}`]),
  ];
  return `${role.padEnd('administrator'.length)}  ${facts.join(', ')}`;
}

const NAME = { args: 'NAME', minArgs: 1, maxArgs: 1 } as const;

/** The verbs of users. */
export const userVerbs: readonly Verb[] = [
  {
    ...NAME,
    name: 'user add',
    summary: 'Let somebody log in at the console of this node; asks for the password.',
    example: 'tandem user add anna --role administrator',
    options: {
      ...CLIENT_OPTIONS,
      role: {
        type: 'string',
        value: 'ROLE',
        choices: ROLES,
        help: 'viewer, operator or administrator.',
      },
      ...PASSWORD_OPTION,
    },
    run: add,
  },
  {
    name: 'user list',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show the users of this node, who is logged in, and who is locked out.',
    example: 'tandem user list --json',
    options: CLIENT_OPTIONS,
    run: list,
  },
  {
    ...NAME,
    name: 'user remove',
    summary: 'Remove a user, and end its sessions.',
    example: 'tandem user remove anna --yes',
    options: { ...CLIENT_OPTIONS, yes: { type: 'boolean', help: 'Do not ask.' } },
    run: remove,
  },
  {
    ...NAME,
    name: 'user passwd',
    summary: 'Set the password of a user, and end its sessions.',
    example: 'tandem user passwd anna',
    options: { ...CLIENT_OPTIONS, ...PASSWORD_OPTION },
    run: passwd,
  },
  {
    name: 'user role',
    args: 'NAME ROLE',
    minArgs: 2,
    maxArgs: 2,
    summary: 'Give a user another role, and end its sessions.',
    example: 'tandem user role anna operator',
    options: CLIENT_OPTIONS,
    run: role,
  },
  {
    name: 'user unlock',
    args: '[NAME]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Forget the failed logins of a user; without NAME those of unknown names.',
    example: 'tandem user unlock anna',
    options: CLIENT_OPTIONS,
    run: unlock,
  },
  {
    ...NAME,
    name: 'user recovery',
    summary: 'Print a code with which a user sets a new password on the login screen, once.',
    example: 'tandem user recovery anna --expires 4h',
    options: {
      ...CLIENT_OPTIONS,
      expires: {
        type: 'string',
        value: 'TIME',
        help: 'How long it is valid: 30m, 24h, 7d; default 24h.',
      },
    },
    run: recovery,
  },
];
