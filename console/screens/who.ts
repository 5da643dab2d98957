/**
 * Who uses this node: the login, who is logged in here, who may change the pair, and the users with
 * their recovery codes. Always holds: no password is ever in a line; a person who cannot log in is
 * told what to do about it. Pure; imports core and the pieces of the views.
 */
import { duration, plain, stamp, table, wrap, wrapCommands } from '../../src/cli/render.ts';
import type { RenderOptions } from '../../src/cli/render.ts';
import type { UserView } from '../../src/core/access.ts';
import { refusalOf, roleRefusal } from '../actions.ts';
import { ageWords, freshStatus } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line } from '../picture.ts';
import type { Body, HotKey, Screen, State, Target } from '../state.ts';
import { actionLines } from './words.ts';

function lostLines({ facts }: State, options: RenderOptions): readonly Line[] {
  if (facts.lost === null) return [];
  const age = ageWords(facts.silentMs);
  const since = age === '' ? '' : `, silent for ${age}`;
  const text = `${facts.lost.message} (${facts.lost.code}${since})`;
  return [
    [],
    lineOf(span('The daemon does not answer', 'warn'), ', so nobody can log in.'),
    ...plainLines(wrap(plain(text, options), options.columns)),
    plainLine('The console asks again by itself. As root: systemctl status tandem'),
  ];
}

/** Sessions live in the daemon's memory only. */
const ENDED = 'The session has ended, as it does when the daemon restarts. Log in again.';

function loginBody(state: State, options: RenderOptions): Body {
  const { access } = state;
  const lines: Line[] = [
    lineOf(span('Tandem maintenance console', 'strong')),
    plainLine('Log in with a name of this node; the users of the peer may be others.'),
  ];
  if (access.at === 'out' && access.why !== null) {
    const { code, message, next } = access.why;
    const ended = code === 'access.login_required';
    const text = ended ? ENDED : plain(message, options);
    lines.push([], ...plainLines(wrap(text, options.columns)));
    if (code !== 'access.idle' && code !== 'access.login_required') {
      lines.push(...plainLines(wrapCommands(plain(next, options), options.columns)));
    }
  }
  const waitS = access.at === 'out' ? access.waitS : 0;
  // The line stays when the wait is over, so that nothing below it moves.
  const wait = span(`No login is accepted for ${duration(waitS)}`, 'warn');
  lines.push([], waitS > 0 ? lineOf(wait) : []);
  lines.push(...lostLines(state, options));
  return { lines: [...lines, [], ...actionLines(loginKeys(), options)] };
}

const open = (letter: string, label: string, use: 'login' | 'recover'): HotKey => ({
  letter,
  label,
  target: { open: { use } },
  refusal: null,
});

function loginKeys(): readonly HotKey[] {
  return [
    open('L', 'Log in', 'login'),
    open('F', 'Forgotten password: set a new one with a recovery code', 'recover'),
    { letter: 'Q', label: 'Quit', target: { leave: true }, refusal: null },
  ];
}

function whoBody(state: State, options: RenderOptions): Body {
  const { facts } = state;
  const { person } = facts;
  const holder = freshStatus(facts)?.operator ?? null;
  const lines: Line[] = [];
  const row = (label: string, value: string): void => {
    lines.push(plainLine(`${label.padEnd(20)}${plain(value, options)}`));
  };
  if (person === null || person.via === 'control') {
    row('This console', 'no login was needed: the way in is for root and the group');
  } else {
    const where = person.where === null ? '' : `, ${person.where}`;
    row('Logged in', `${person.user}, ${person.role}${where}`);
    const minutes = person.idleS === null ? 'never' : `after ${duration(person.idleS)}`;
    row('Without a key', `logs out ${minutes}; while an update runs it locks instead`);
  }
  if (holder === null) row('May change the pair', 'whoever begins to; nobody holds the right');
  else {
    const from = holder.where === null ? '' : `, ${holder.where}`;
    const since = stamp(holder.since, options);
    row('May change the pair', `${holder.user}, ${holder.role}${from}, since ${since}`);
  }
  return { lines: [...lines, [], ...actionLines(whoKeys(state), options)] };
}

function whoKeys({ facts }: State): readonly HotKey[] {
  const holder = freshStatus(facts)?.operator ?? null;
  const from = holder?.user ?? 'whoever holds it';
  const control = facts.person === null || facts.person.via === 'control';
  return [
    {
      letter: 'T',
      label: 'Take the right to change the pair',
      target: { plan: { do: 'take-operator' } },
      refusal: refusalOf('take-operator', facts),
    },
    {
      letter: 'G',
      label: 'Give it back',
      target: { plan: { do: 'release-operator' } },
      refusal: refusalOf('release-operator', facts),
    },
    {
      letter: 'F',
      label: `Force: take it from ${from}, with a reason`,
      target: { plan: { do: 'force-operator', from } },
      refusal: refusalOf('force-operator', facts),
    },
    {
      letter: 'N',
      label: 'Names: users of this node, locks, recovery codes',
      target: { go: 'users' },
      refusal: roleRefusal('recovery', facts),
    },
    {
      letter: 'O',
      label: 'Log out',
      target: { logout: true },
      refusal: control ? 'there was no login on this way in' : null,
    },
  ];
}

const stateWords = ({ lockedS, failures, recoveryS }: UserView): string => {
  const lock = lockedS > 0 ? `locked for ${duration(lockedS)}` : '';
  const tries = failures > 0 && lock === '' ? `${failures} failed` : '';
  const code = recoveryS === null ? '' : `recovery code for ${duration(recoveryS)}`;
  return [lock, tries, code].filter((text) => text !== '').join(', ');
};

function usersBody(state: State, options: RenderOptions): Body {
  const { users, recovery } = state;
  const lines: Line[] = [...actionLines(usersKeys(state), options)];
  lines.push(plainLine('Adding and removing, as root: tandem user add NAME --role ROLE'), []);
  if (recovery !== null) {
    const { user, code, leftS } = recovery;
    lines.push(
      lineOf(`Recovery code of ${plain(user, options)}: `, span(plain(code, options), 'strong')),
      plainLine(`It ends in ${duration(leftS)}, or when it was used. It stays here until then.`),
      [],
    );
  }
  if (users === null) return { lines: [...lines, plainLine('Asking the daemon ...')] };
  const [head = '', ...told] = table(
    [
      ['   Name', 'Role', 'Here', ''],
      ...users.users.map((one, index) => [
        `${index + 1}  ${plain(one.name, options)}`,
        one.role,
        one.sessions > 0 ? 'yes' : 'no',
        stateWords(one),
      ]),
    ],
    { ...options, columns: options.columns - 2 },
  );
  if (users.unknownLockedS > 0) {
    const time = duration(users.unknownLockedS);
    lines.push(plainLine(`Logins with unknown names are locked for ${time}.`));
  }
  lines.push(lineOf(span(`  ${head}`, 'strong')));
  const rows = told.map((_, index) => lines.length + index);
  for (const [index, text] of told.entries()) {
    lines.push(lineOf(index === state.chosen ? span('>', 'chosen') : ' ', ` ${text}`));
  }
  return { lines, rows };
}

function usersKeys({ users, chosen, facts }: State): readonly HotKey[] {
  const user = users?.users[chosen]?.name ?? null;
  const none = user === null ? 'there is none to choose' : null;
  const to = (word: 'recovery' | 'unlock'): Target =>
    user === null ? { go: 'users' } : { plan: { do: word, user } };
  return [
    {
      letter: 'R',
      label: 'Recovery code for the chosen one',
      target: to('recovery'),
      refusal: none ?? refusalOf('recovery', facts),
    },
    {
      letter: 'U',
      label: 'Unlock the chosen one after failed logins',
      target: to('unlock'),
      refusal: none ?? refusalOf('unlock', facts),
    },
    { letter: 'A', label: 'Ask again', target: { go: 'users' }, refusal: null },
  ];
}

/** The first screen where somebody has to log in. */
export const login: Screen = { title: 'Login', body: loginBody, keys: loginKeys };
/** Who is logged in, and who may change the pair. */
export const who: Screen = { title: 'Who', body: whoBody, keys: whoKeys };
/** The users of this node. */
export const users: Screen = { title: 'Users', body: usersBody, keys: usersKeys };
