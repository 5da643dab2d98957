/**
 * Service shells in the daemon: off by default, a begin and an end in the audit log whatever
 * becomes of the console.
 */
import t from 'tap';
import type { Visitor } from '../../src/control/desk.ts';
import { needOf, permits } from '../../src/core/access-rules.ts';
import { ShellBook } from '../../src/daemon/access-shell.ts';
import type { Asked, Noted } from '../../src/daemon/audit.ts';

interface Row {
  readonly by: string;
  readonly reason: string | null;
  readonly message: string;
}

function book(serviceShell: boolean): { shells: ShellBook; rows: Row[]; codes: unknown[] } {
  const rows: Row[] = [];
  const codes: unknown[] = [];
  const note = ({ by, reason }: Asked, { message, code }: Noted): never => {
    rows.push({ by, reason, message });
    codes.push(code);
    return undefined as never;
  };
  return { shells: new ShellBook({ serviceShell, audit: { note } }), rows, codes };
}

function visitor(name: string): { who: Visitor; over: AbortController } {
  const over = new AbortController();
  return { who: { name, via: 'console', role: 'administrator', ended: over.signal }, over };
}

const begin = { do: 'begin', reason: 'fan test' } as const;
const end = { do: 'end', outcome: 'it ended with status 0' } as const;

t.test('off: refused, and noted', async (t) => {
  const { shells, rows, codes } = book(false);
  t.throws(() => shells.take(visitor('eve').who, begin), { code: 'access.shell_off' });
  t.match(rows, [{ by: 'eve', reason: 'fan test', message: /switched off/ }]);
  t.strictSame(codes, ['access.shell_off']);
});

t.test('begin and end', async (t) => {
  const { shells, rows } = book(true);
  const { who, over } = visitor('ann');
  t.strictSame(shells.take(who, begin), { open: true });
  // Each request comes with a visitor of its own; the session is the same.
  t.strictSame(shells.take({ ...who }, end), { open: false });
  t.strictSame(shells.take(who, end), { open: false }, 'an end without a begin is nothing');
  over.abort();
  t.strictSame(
    rows.map(({ reason, message }) => [reason, message]),
    [
      ['fan test', 'begins'],
      [null, 'is over: it ended with status 0'],
    ],
  );
});

t.test('a console that is gone: its session ends the shell in the log', async (t) => {
  const { shells, rows } = book(true);
  const [ann, bob] = [visitor('ann'), visitor('bob')];
  shells.take(ann.who, begin);
  shells.take(bob.who, begin);
  ann.over.abort();
  shells.take(bob.who, begin);
  t.strictSame(
    rows.map(({ by, message }) => `${by} ${message}`),
    [
      'ann begins',
      'bob begins',
      'ann is over: the session ended',
      'bob is over: another one was opened',
      'bob begins',
    ],
  );
});

t.test('who may', async (t) => {
  const route = 'POST /v1/shell';
  t.equal(permits(needOf(route, begin)!, 'operator', false), false);
  t.equal(permits(needOf(route, begin)!, 'administrator', true), false, 'nor who may only look on');
  t.equal(permits(needOf(route, begin)!, 'administrator', false), true);
  t.equal(permits(needOf(route, end)!, 'viewer', false), true, 'a role may be taken meanwhile');
  t.equal(needOf(route, { do: 'other' }), null);
});
