/**
 * The processes of one appliance: all that the node started, however far down and in whatever
 * process group. Always holds: a process belongs to the appliance when it carries the appliance's
 * token in its environment, lives in the session of the node's first process, or descends from one
 * that does, so nothing else is ever killed; and "all dead" is said only after a look that found
 * none. Imports Node only.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Environment variable that marks every process of one appliance. */
export const TOKEN_VARIABLE = 'TANDEM_POWER';

/** What the members of a family have in common. */
export interface Family {
  readonly token: string;
  /** Id of the first process, which leads its own session; null when none was started. */
  readonly leader: number | null;
}

/** How long processes that were killed may take to vanish; they may hang in the disk. */
const DEATH_MS_MAX = 10_000;
const LOOK_AGAIN_MS = 10;

/** One line of the process table, as far as it matters here. */
interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Start time in clock ticks: the same id with another one is another process. */
  readonly start: string;
  readonly marked: boolean;
}

async function readProcess(pid: number, family: Family): Promise<Process | null> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'latin1');
    // proc(5): the name in parentheses may hold anything; state, parent, group, session follow it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    const inSession = family.leader !== null && Number(fields[3]) === family.leader;
    const marked = inSession || (await hasToken(pid, family.token));
    return { pid, parent: Number(fields[1]), start: fields[19] ?? '', marked };
  } catch {
    // It ended in between.
    return null;
  }
}

async function hasToken(pid: number, token: string): Promise<boolean> {
  try {
    const environment = await readFile(`/proc/${String(pid)}/environ`, 'latin1');
    return environment.split('\0').includes(`${TOKEN_VARIABLE}=${token}`);
  } catch {
    // The process of another user is none of ours.
    return false;
  }
}

/** Living processes of the family and all that descend from them; zombies are dead. */
async function findFamily(family: Family, known: ReadonlyMap<number, string>): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const table = await Promise.all(pids.map(async (pid) => readProcess(pid, family)));
  const alive = table.filter((one) => one !== null && one.pid !== process.pid) as Process[];
  const found = new Map<number, Process>();
  const isFamily = (one: Process): boolean =>
    one.marked || known.get(one.pid) === one.start || found.has(one.parent);
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const one of alive) if (isFamily(one)) found.set(one.pid, one);
  }
  return [...found.values()];
}

/** Ids of the living processes of the family. */
export async function membersOf(family: Family): Promise<number[]> {
  return (await findFamily(family, new Map())).map((one) => one.pid);
}

function send(pid: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

/**
 * Kills the whole family and returns when none of it lives; false when something survived for 10 s.
 * All of it is stopped before the first one is killed: a parent that dies early would leave
 * children behind that nothing shows to be of the family any more.
 */
export async function killFamily(family: Family): Promise<boolean> {
  const known = new Map<number, string>();
  const endMs = performance.now() + DEATH_MS_MAX;
  for (let before = -1; before !== known.size;) {
    before = known.size;
    for (const { pid, start } of await findFamily(family, known)) {
      if (known.get(pid) !== start) send(pid, 'SIGSTOP');
      known.set(pid, start);
    }
  }
  for (;;) {
    const members = await findFamily(family, known);
    if (members.length === 0) return true;
    if (performance.now() > endMs) return false;
    for (const { pid } of members) send(pid, 'SIGKILL');
    await sleep(LOOK_AGAIN_MS);
  }
}
