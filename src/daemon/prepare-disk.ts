/**
 * What a node keeps of a prepared update on its own disk: its copy of the record, and the plan as
 * the very bytes whose digest is its identity. Always holds: each file is replaced whole and is
 * durable when a write returns; a record of a later program is left alone; a damaged one counts as
 * none, because the peer has a copy. Imports core and the atomic files.
 */
import { hash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import type { PreparedPlan } from '../core/prepare-plan.ts';
import { isLaterPreparation, isPlan, readPreparation } from '../core/prepare-shape.ts';
import type { Preparation } from '../core/prepare.ts';
import { readFileLimited, syncDirectory, writeFileAtomic } from '../drivers/fs-atomic.ts';

const FILE_BYTES_MAX = 256 * 1024;
const RECORD = 'preparation.json';
const PLAN = 'plan.json';

/** The files of one node. */
export interface PrepareDisk {
  /** What lay there at the start. */
  readonly found: Preparation | null;
  /** Durable when it resolves. Throws `state.io`, `state.newer_schema`. */
  write(preparation: Preparation): Promise<void>;
  /** Durable when it resolves, and read back. Throws `state.io`, `prepare.plan_lost`. */
  writePlan(content: PreparedPlan, digest: Sha256): Promise<void>;
  /** The plan with this digest. Throws `prepare.plan_lost`. */
  readPlan(digest: Sha256): Promise<PreparedPlan>;
}

/** The text of a plan and its identity. */
export function planText(content: PreparedPlan): {
  readonly text: string;
  readonly digest: Sha256;
} {
  const text = `${JSON.stringify(content, null, 2)}\n`;
  return { text, digest: hash('sha256', text, 'hex') as Sha256 };
}

/** Opens the folder `prepare` of the state directory; what cannot be read is told and is none. */
export async function openPrepareDisk(
  stateDir: string,
  log: (line: string) => void,
): Promise<PrepareDisk> {
  const dir = join(stateDir, 'prepare');
  const path = join(dir, RECORD);
  const { found, later } = await readRecord(path, log);
  return {
    found,
    write: async (preparation) => {
      if (later) throw new UpdateError('state.newer_schema', `${path} is of a later program`);
      await inFolder(dir, () => writeFileAtomic(path, `${JSON.stringify(preparation)}\n`));
    },
    writePlan: async (content, digest) => {
      const made = planText(content);
      if (made.digest !== digest) {
        const message = `the plan has digest ${made.digest}, expected ${digest}`;
        throw new UpdateError('prepare.plan_lost', message);
      }
      await inFolder(dir, () => writeFileAtomic(join(dir, PLAN), made.text));
      await readPlan(join(dir, PLAN), digest);
    },
    readPlan: (digest) => readPlan(join(dir, PLAN), digest),
  };
}

async function readRecord(
  path: string,
  log: (line: string) => void,
): Promise<{ readonly found: Preparation | null; readonly later: boolean }> {
  try {
    const value: unknown = JSON.parse((await readFileLimited(path, FILE_BYTES_MAX)).toString());
    const later = isLaterPreparation(value);
    const found = readPreparation(value);
    if (later) log(`${path} was written by a later program and is left alone`);
    else if (found === null) log(`${path} is not a record of a prepared update and is not used`);
    return { found, later };
  } catch (cause) {
    const { code, message } = asUpdateError(cause);
    if (code !== 'file.not_found') log(`${path} cannot be used: ${message}`);
    return { found: null, later: false };
  }
}

async function readPlan(path: string, digest: Sha256): Promise<PreparedPlan> {
  let text: string;
  try {
    text = (await readFileLimited(path, FILE_BYTES_MAX)).toString('utf8');
  } catch (cause) {
    throw new UpdateError('prepare.plan_lost', asUpdateError(cause).message, { cause });
  }
  const found = hash('sha256', text, 'hex');
  const value: unknown = found === digest ? JSON.parse(text) : null;
  if (isPlan(value)) return value as PreparedPlan;
  const message = `${path} has SHA-256 ${found}, expected the plan ${digest}`;
  throw new UpdateError('prepare.plan_lost', message);
}

/** The folder is made with the first file in it. */
async function inFolder(dir: string, write: () => Promise<void>): Promise<void> {
  try {
    const made = await mkdir(dir, { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncDirectory(join(dir, '..'));
  } catch (cause) {
    throw new UpdateError('state.io', `${dir} cannot be made: ${asUpdateError(cause).message}`);
  }
  await write();
}
