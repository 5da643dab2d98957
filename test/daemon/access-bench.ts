/**
 * A desk of access in a folder of its own: a clock that stands, cheap passwords, and everything
 * that it notes and tells. Imports the daemon's desk and the audit log.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Visitor } from '../../src/control/desk.ts';
import type { Role } from '../../src/core/access.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import { AccessDesk } from '../../src/daemon/access.ts';
import { AuditLog } from '../../src/daemon/audit.ts';
import { CHEAP, type Clock } from '../access/bench.ts';

/** A password that every user of a test has. */
export const PASSWORD = 'correct horse battery';

/** What a test sees of a desk. */
export interface DeskBench extends AsyncDisposable {
  desk: AccessDesk;
  readonly folder: string;
  readonly clock: Clock & { updating: boolean; idleMin: number };
  /** Newest last. */
  readonly notes: AuditEntry[];
  readonly told: string[];
  /** Ends the desk and opens another one on the same files, as a restart of the daemon does. */
  readonly restart: () => Promise<void>;
  /** Adds a user as root. */
  readonly add: (name: string, role: Role) => Promise<void>;
  /** Logs in and enters, as a request with the token does. */
  readonly visit: (name: string, where?: string) => Promise<Visitor>;
  /** The notes in short: `act by result code`. */
  readonly lines: () => readonly string[];
}

/** Root on the control socket. */
export const ROOT: Visitor = { name: 'root', via: 'control', role: 'administrator', ended: null };

/** A clock at 1970: no rule may depend on it. */
const at = (): string => new Date(0).toISOString();

/** Opens a desk without any user. */
export async function openDesk(): Promise<DeskBench> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-access-'));
  const clock = { ms: 1_000_000, updating: false, idleMin: 10 };
  const notes: AuditEntry[] = [];
  const told: string[] = [];
  const log = {
    append: (line: string) => void notes.push(JSON.parse(line) as AuditEntry),
    read: () => Promise.resolve([]),
  };
  const open = (): Promise<AccessDesk> =>
    AccessDesk.open({
      node: 'A',
      stateDir: folder,
      monotonicMs: () => clock.ms,
      at,
      idleMs: () => clock.idleMin * 60_000,
      updating: () => clock.updating,
      audit: new AuditLog(log, 'A', at),
      tell: (sentence) => void told.push(sentence),
      log: (line) => void told.push(line),
      cost: CHEAP,
    });
  const bench: DeskBench = {
    desk: await open(),
    folder,
    clock,
    notes,
    told,
    restart: async () => {
      await bench.desk[Symbol.asyncDispose]();
      clock.ms = 5_000;
      bench.desk = await open();
    },
    add: async (name, role) => {
      await bench.desk.changeUser(ROOT, { do: 'add', name, role, password: PASSWORD });
    },
    visit: async (user, where) => {
      const seat = where === undefined ? {} : { tty: where };
      const { token } = await bench.desk.login({ user, password: PASSWORD, ...seat });
      return bench.desk.enter(token);
    },
    lines: () =>
      notes.map(({ act, by, result, code }) => [act, by, result, code ?? ''].join(' ').trim()),
    [Symbol.asyncDispose]: async () => {
      await bench.desk[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return bench;
}
