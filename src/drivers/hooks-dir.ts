/**
 * Hooks as executable files: `<hooksDir>/<point>.d/*`, one after the other in the order of the
 * bytes of their names. A name counts when it is made of letters, digits, `_` and `-`, with at most
 * one of the extensions .sh, .py, .pl, .js, .mjs, .hook; anything else (README.txt, 10-check.bak)
 * is passed over, and so are directories. A file that counts and cannot be executed is a veto: a
 * check that somebody thinks is made must not be left out silently.
 *
 * A hook gets JSON on its standard input, a small environment (its point, and node, root and boot
 * as the boot loader told them) and a time limit; exit status 0 = good, 75 = not now, try later
 * (EX_TEMPFAIL of sysexits), anything else = veto. The first one that is not good ends the run,
 * except at the points that only tell (on-fail, notify), where each one runs. Always holds: when
 * `run` returns, nothing that a hook started in its process group is alive, and of its output no
 * more than a few KiB were kept. Imports core, ports and node.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { isTellingPoint, refusalCode } from '../core/hook-points.ts';
import type { Hooks, HooksEnd } from '../ports.ts';
import { ioError, isErrno } from './fs-atomic.ts';

/** Time limit of each hook when no other one is given. */
export const HOOK_TIMEOUT_MS = 60_000;
/** Exit status of a hook that wants to be asked again later. */
export const HOOK_RETRY_STATUS = 75;

const NAME = /^[A-Za-z0-9_-]+(?:\.(?:sh|py|pl|js|mjs|hook))?$/;
const POINT = /^[a-z][a-z-]{0,31}$/;
const HOOKS_MAX = 100;
const OUTPUT_BYTES_MAX = 4096;
const OUTPUT_LINES_MAX = 5;
/** How long the last output of a hook that has ended may take to arrive. */
const DRAIN_TIMEOUT_MS = 200;

/** How one hook ended. */
interface HookEnd {
  readonly status: number | null;
  readonly killedBy: string | null;
  readonly timedOut: boolean;
  readonly output: string;
}

/** The hooks of a directory of `<point>.d` directories. */
export class DirectoryHooks implements Hooks {
  readonly #dir: string;
  readonly #timeoutMs: number;

  constructor(dir: string, options: { readonly timeoutMs?: number } = {}) {
    this.#dir = dir;
    this.#timeoutMs = options.timeoutMs ?? HOOK_TIMEOUT_MS;
  }

  /**
   * Runs the hooks of one point. A missing directory is one without hooks. Throws with the
   * code of a refusal at this point, the hook's name and its last lines, or the signal's reason.
   */
  async run(point: string, input: object, signal: AbortSignal): Promise<HooksEnd> {
    if (!POINT.test(point)) throw new UpdateError('internal.bug', `no hook point: ${point}`);
    let ran = 0;
    let later: string | null = null;
    let veto: UpdateError | null = null;
    for (const name of await this.#names(point)) {
      signal.throwIfAborted();
      ran += 1;
      try {
        later ??= await this.#runOne(point, name, input, signal);
      } catch (error) {
        if (!(error instanceof UpdateError)) throw error;
        veto ??= error;
      }
      if ((later !== null || veto !== null) && !isTellingPoint(point)) break;
    }
    if (veto !== null) throw veto;
    return later === null ? { ran, retry: false } : { ran, retry: true, later };
  }

  async #names(point: string): Promise<readonly string[]> {
    const dir = join(this.#dir, `${point}.d`);
    try {
      const names: string[] = [];
      for (const entry of await readdir(dir, { withFileTypes: true })) {
        if (!NAME.test(entry.name) || entry.isDirectory()) continue;
        names.push(entry.name);
      }
      if (names.length > HOOKS_MAX) {
        const message = `${dir} has ${names.length} hooks, at most ${HOOKS_MAX} are run`;
        throw new UpdateError(refusalCode(point), message);
      }
      return names.toSorted((a, b) => (a < b ? -1 : 1));
    } catch (error) {
      if (isErrno(error) && error.code === 'ENOENT') return [];
      throw ioError(error, refusalCode(point), `The hooks in ${dir} cannot be read`);
    }
  }

  /** Runs it; returns a sentence when it wants to be asked later, else null. */
  async #runOne(
    point: string,
    name: string,
    input: object,
    signal: AbortSignal,
  ): Promise<string | null> {
    const path = join(this.#dir, `${point}.d`, name);
    const refuse = (why: string, output: string): UpdateError => {
      const detail = { hook: name, point, output: output.split('\n') };
      const message = `Hook ${point}.d/${name} ${why}${said(output)}`;
      return new UpdateError(refusalCode(point), message, { detail });
    };
    await checkExecutable(path, refuse);
    let end: HookEnd;
    try {
      end = await execute(path, point, JSON.stringify(input), this.#timeoutMs, signal);
    } catch (error) {
      if (!isErrno(error)) throw error;
      throw refuse('cannot be executed', error.message);
    }
    signal.throwIfAborted();
    if (end.timedOut) throw refuse(`did not end within ${this.#timeoutMs} ms`, end.output);
    if (end.killedBy !== null) throw refuse(`was ended by ${end.killedBy}`, end.output);
    if (end.status === HOOK_RETRY_STATUS) {
      return `hook ${point}.d/${name} asks to be asked later${said(end.output)}`;
    }
    if (end.status === 0) return null;
    throw refuse(`ended with status ${end.status}`, end.output);
  }
}

const said = (output: string): string => (output === '' ? '' : `: ${output}`);

async function checkExecutable(
  path: string,
  refuse: (why: string, output: string) => UpdateError,
): Promise<void> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw refuse('is not a regular file', '');
    await access(path, constants.X_OK);
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw refuse('is not executable; make it so or remove it', '');
  }
}

/**
 * What a hook gets of the daemon's own environment: the mark by which a power cut finds every
 * process of the node, and what the boot loader says of node, root and boot.
 */
export const PASSED_ON = ['TANDEM_POWER', 'TANDEM_NODE', 'TANDEM_ROOT', 'TANDEM_BOOT'] as const;

function environmentOf(point: string): NodeJS.ProcessEnv {
  const passed = PASSED_ON.map((name) => [name, process.env[name]] as const);
  return {
    ...Object.fromEntries(passed.filter(([, value]) => value !== undefined)),
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    TANDEM_HOOK_POINT: point,
  };
}

/** Runs one hook in a process group of its own; throws plain errors when it cannot start. */
async function execute(
  path: string,
  point: string,
  input: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HookEnd> {
  const child = spawn(path, [], {
    cwd: '/',
    // A group of its own, so that what the hook starts can be ended with it.
    detached: true,
    env: environmentOf(point),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = new LastOutput();
  child.stdout.on('data', (chunk: Buffer) => output.add(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.add(chunk));
  // A hook need not read its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${input}\n`);
  const drained = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, timeoutMs);
  const abort = (): void => killGroup(child);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const ended = await exitOf(child);
    // What the hook has left running would hold its pipes open and outlive the update.
    killGroup(child);
    await Promise.race([drained, delay(DRAIN_TIMEOUT_MS)]);
    return { ...ended, timedOut, output: output.text() };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    child.stdout.destroy();
    child.stderr.destroy();
    child.stdin.destroy();
  }
}

function exitOf(child: ChildProcess): Promise<Pick<HookEnd, 'status' | 'killedBy'>> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, killedBy) => resolve({ status, killedBy }));
  });
}

/** Ends the group that the hook leads. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ESRCH') throw error;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

/** The last bytes of an output of any length. */
class LastOutput {
  #bytes: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): void {
    const joined = chunk.length >= OUTPUT_BYTES_MAX ? chunk : Buffer.concat([this.#bytes, chunk]);
    // A copy, so that a large chunk is not kept alive by its end.
    this.#bytes = Buffer.from(joined.subarray(-OUTPUT_BYTES_MAX));
  }

  /** The last lines, without control characters that could disturb a terminal. */
  text(): string {
    const lines = this.#bytes.toString('utf8').split('\n');
    const clean = lines.map((line) => line.replaceAll(/\p{Cc}/gu, ' ').trimEnd());
    return clean
      .filter((line) => line !== '')
      .slice(-OUTPUT_LINES_MAX)
      .join('\n');
  }
}
