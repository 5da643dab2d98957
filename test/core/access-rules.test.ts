/**
 * Who may do what: every route, kind of job, act, setting and change of a user has a row, no row is
 * about something that does not exist, and the line between the roles is where the table's head
 * says. May import tap, core and the tables of the control room.
 */
import t from 'tap';
import { USER_SCHEMAS } from '../../src/control/access-protocol.ts';
import { ACT_SCHEMAS, JOB_SCHEMAS } from '../../src/control/protocol.ts';
import { ROUTES } from '../../src/control/routes.ts';
import { PREPARE_WORD_SCHEMAS } from '../../src/control/schemas-prepare.ts';
import { atLeast, ROLES, type Role } from '../../src/core/access.ts';
import {
  ACT_NEEDS,
  JOB_NEEDS,
  needOf,
  permits,
  PREPARE_NEEDS,
  ROUTE_NEEDS,
  SETTING_NEEDS,
  USER_NEEDS,
  wordOf,
} from '../../src/core/access-rules.ts';
import { SETTING_KEYS } from '../../src/core/settings.ts';

const keysOf = (table: object): string[] => Object.keys(table).toSorted();

t.test(
  'every route, job, act, setting and user word has its row, and no row is dead',
  async (t) => {
    const routes = ROUTES.map(({ method, path }) => `${method} ${path}`);
    t.strictSame(keysOf(ROUTE_NEEDS), routes.toSorted());
    t.strictSame(keysOf(JOB_NEEDS), keysOf(JOB_SCHEMAS));
    t.strictSame(keysOf(ACT_NEEDS), keysOf(ACT_SCHEMAS));
    t.strictSame(keysOf(PREPARE_NEEDS), keysOf(PREPARE_WORD_SCHEMAS));
    t.strictSame(keysOf(USER_NEEDS), keysOf(USER_SCHEMAS));
    t.strictSame(keysOf(SETTING_NEEDS), [...SETTING_KEYS].toSorted());
  },
);

t.test('nothing but the two logins is open, and only reading is looking', async (t) => {
  for (const [route, row] of Object.entries(ROUTE_NEEDS)) {
    const needs = 'needs' in row ? Object.values(row.needs) : [row];
    for (const need of needs) {
      const open = route === 'POST /v1/session' || route === 'POST /v1/session/recover';
      t.equal(need.role === null, open, route);
      // An end that is told changes nothing, and is told by whoever is still there.
      const ends = route === 'DELETE /v1/session' || route === 'POST /v1/shell';
      const reads = route.startsWith('GET ') || ends || open;
      if (need.kind === 'look') t.ok(reads, `${route} looks`);
      if (need.kind === 'change')
        t.ok(need.role !== 'viewer', `${route}: a viewer changes nothing`);
    }
  }
});

const WHO: readonly (readonly [string, Record<string, unknown> | undefined, Role | null])[] = [
  ['GET /v1/status', undefined, 'viewer'],
  ['GET /v1/events', undefined, 'viewer'],
  ['POST /v1/jobs', { kind: 'update' }, 'operator'],
  ['POST /v1/jobs', { kind: 'prepare' }, 'operator'],
  ['POST /v1/prepare', { do: 'ignore' }, 'operator'],
  ['POST /v1/prepare', { do: 'authorize' }, 'administrator'],
  ['POST /v1/jobs', { kind: 'rollback' }, 'operator'],
  ['POST /v1/jobs', { kind: 'verify' }, 'operator'],
  ['POST /v1/jobs', { kind: 'commit' }, 'administrator'],
  ['POST /v1/jobs', { kind: 'resolve' }, 'administrator'],
  ['POST /v1/jobs', { kind: 'shutdown' }, 'administrator'],
  ['POST /v1/jobs/:id/cancel', {}, 'operator'],
  ['POST /v1/acts', { act: 'switchover' }, 'operator'],
  ['POST /v1/acts', { act: 'takeover' }, 'administrator'],
  ['POST /v1/users', { do: 'add' }, 'administrator'],
  ['GET /v1/users', undefined, 'administrator'],
  ['POST /v1/settings', { key: 'idleMin' }, 'administrator'],
  ['POST /v1/settings', { key: 'dateOrder' }, 'operator'],
  // What no table has nobody may.
  ['POST /v1/jobs', { kind: 'format' }, null],
  ['POST /v1/jobs', { kind: 'toString' }, null],
  ['POST /v1/jobs', { kind: ['update'] }, null],
  ['POST /v1/jobs', undefined, null],
  ['POST /v1/acts', {}, null],
  ['GET /v1/nothing', undefined, null],
  ['__proto__', undefined, null],
];

for (const [route, body, least] of WHO) {
  t.test(`${route} ${JSON.stringify(body) ?? ''}: ${least ?? 'nobody'}`, async (t) => {
    const need = needOf(route, body);
    for (const role of ROLES) {
      const may = need !== null && permits(need, role, false);
      t.equal(may, least !== null && atLeast(role, least), role);
      t.equal(need !== null && permits(need, role, true), may && need?.kind === 'look', 'watching');
    }
  });
}

t.test('roles are in order', async (t) => {
  t.strictSame(ROLES, ['viewer', 'operator', 'administrator']);
  t.ok(atLeast('operator', 'operator'));
  t.notOk(atLeast('operator', 'administrator'));
});

t.test('a request has a word for people', async (t) => {
  t.equal(wordOf('POST /v1/jobs', { kind: 'update' }), 'update');
  t.equal(wordOf('POST /v1/jobs/:id/cancel', {}), 'cancel');
  t.equal(wordOf('POST /v1/users', { do: 'add' }), 'user add');
  t.equal(wordOf('POST /v1/settings', { key: 'idleMin' }), 'settings set idleMin');
  t.equal(wordOf('POST /v1/acts', { act: 'rm -rf' }), 'acts', 'no word of a client');
  t.equal(wordOf('GET /v1/jobs/:id', undefined), 'jobs');
});
