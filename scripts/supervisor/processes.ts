/**
 * The processes of one appliance: all that the node started, however far down and in whatever
 * process group. Always holds: a process belongs to the appliance when it carries the appliance's
 * token in its environment or lives in the session of the node's first process, so nothing else is
 * ever killed; and "all dead" is said only after a look that found none. Imports Node only.
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

/** Living processes of the family; zombies are dead. */
export async function membersOf(family: Family): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => ((await isMember(pid, family)) ? pid : null)),
  );
  return found.filter((pid) => pid !== null && pid !== process.pid) as number[];
}

async function isMember(pid: number, family: Family): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'latin1');
    // proc(5): the name in parentheses may hold anything; state, parent, group, session follow it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return false;
    if (family.leader !== null && Number(fields[3]) === family.leader) return true;
    const environment = await readFile(`/proc/${String(pid)}/environ`, 'latin1');
    return environment.split('\0').includes(`${TOKEN_VARIABLE}=${family.token}`);
  } catch {
    // The process ended in between, or belongs to another user and thus is none of ours.
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/**
 * Kills the whole family and returns when none of it lives; a family that forks while it dies is
 * looked for again. Returns false when something survived for 10 s.
 */
export async function killFamily(family: Family): Promise<boolean> {
  if (family.leader !== null) kill(-family.leader);
  const endMs = performance.now() + DEATH_MS_MAX;
  for (;;) {
    const members = await membersOf(family);
    if (members.length === 0) return true;
    if (performance.now() > endMs) return false;
    for (const pid of members) kill(pid);
    await sleep(LOOK_AGAIN_MS);
  }
}
