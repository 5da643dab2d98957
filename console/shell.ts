/**
 * The service shell: lends the terminal of a console to a shell of the user that the console runs
 * as, and takes it back. Always holds: it begins only after the daemon has allowed it and written
 * that down, and its end is told the daemon, too; it gives no right that this user does not have
 * anyhow; it ends with the session; a line that stalls stops the shell's output and costs nothing
 * else. Imports core, the control client, node-pty when it is there, and the line.
 */
import { homedir, userInfo } from 'node:os';
import type { ControlClient } from '../src/control/client.ts';
import { UpdateError } from '../src/core/errors.ts';
import type { Kind } from './terminal/kinds.ts';
import type { TerminalLine } from './terminal/line.ts';

/** The daemon's word on service shells. */
export interface ShellGate {
  /** Throws the refusal; once it is passed the begin stands in the audit log. */
  begin(reason: string): Promise<void>;
  /** The shell is over; `outcome` is for the audit log. A daemon that is away does no harm. */
  end(outcome: string): Promise<void>;
}

/** What a shell is opened with. */
export interface ShellOptions {
  readonly gate: ShellGate;
  /** Why, for the audit log. */
  readonly reason: string;
  readonly line: TerminalLine;
  readonly kind: Kind;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the session ends; the shell ends with it. */
  readonly signal: AbortSignal;
  /** Something was typed: the person is there. */
  readonly onActivity: () => void;
}

/** Every system has it; the user's own may be this console. */
const SHELL = '/bin/sh';
/** A shell that was hung up on has so long to end its programs. */
const END_MS = 2_000;
/** The daemon has so long to hear of an end. */
const TOLD_MS = 1_000;
/** What it is told of the world around it; nothing that names the daemon or its sessions. */
const KEPT = ['LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The daemon's word over a client of it. */
export function gateOf(client: ControlClient): ShellGate {
  return {
    begin: async (reason) => {
      await client.access.shell({ do: 'begin', reason });
    },
    end: async (outcome) => {
      // The daemon notes the end of a session by itself, and with it that of its shell.
      const signal = AbortSignal.timeout(TOLD_MS);
      await client.access.shell({ do: 'end', outcome }, signal).catch(() => {});
    },
  };
}

type PtyModule = typeof import('node-pty');
type Pty = ReturnType<PtyModule['spawn']>;

/** Runs a shell until it ends or the session does; throws why none could be opened. */
export async function runShell(options: ShellOptions): Promise<string> {
  const { gate, reason, signal } = options;
  // What cannot be opened is not asked for, and stands in no audit log.
  const module = await loadPty();
  await gate.begin(reason);
  let outcome = 'it could not be started';
  try {
    signal.throwIfAborted();
    outcome = await lendTo(module, options);
  } finally {
    await gate.end(outcome);
  }
  return outcome;
}

async function loadPty(): Promise<PtyModule> {
  try {
    return await import('node-pty');
  } catch (cause) {
    const message = 'a service shell needs the package node-pty, which is not installed here';
    throw new UpdateError('tool.missing', message, { cause });
  }
}

async function lendTo(module: PtyModule, options: ShellOptions): Promise<string> {
  const { line, kind, env, signal, onActivity } = options;
  const ended = Promise.withResolvers<string>();
  using loan = await line.lend({
    onBytes: (bytes) => {
      onActivity();
      shell.write(Buffer.from(bytes));
    },
    onResize: () => shell.resize(line.size.columns, line.size.rows),
  });
  const { rows, columns } = line.size;
  const { username } = userInfo();
  const shell = module.spawn(SHELL, [], {
    name: kind.name === 'unknown' ? 'vt100' : kind.name,
    rows,
    cols: columns,
    cwd: homedir(),
    env: environment(env, username),
    encoding: null,
  });
  shell.onExit((end) => ended.resolve(outcomeOf(end)));
  const words = `Service shell of ${username}. "exit" comes back to the console.\r\n`;
  loan.send(Buffer.from(words), () => {});
  shell.onData((data) => {
    // The shell is read on when the line has taken what came.
    shell.pause();
    loan.send(data as unknown as Buffer, () => shell.resume());
  });
  const hangUp = (): void => void endShell(shell, ended.promise);
  signal.addEventListener('abort', hangUp, { once: true });
  if (signal.aborted) hangUp();
  const outcome = await ended.promise;
  signal.removeEventListener('abort', hangUp);
  return signal.aborted ? 'the session ended' : outcome;
}

/** Hangs up, and ends what does not end by that. */
async function endShell(shell: Pty, ended: Promise<unknown>): Promise<void> {
  shell.resume();
  shell.kill('SIGHUP');
  const timer = setTimeout(() => shell.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(timer);
}

function outcomeOf({ exitCode, signal }: { exitCode: number; signal?: number }): string {
  return signal === undefined || signal === 0
    ? `it ended with status ${exitCode}`
    : `it was ended by signal ${signal}`;
}

function environment(
  env: ShellOptions['env'],
  username: string,
): Record<string, string | undefined> {
  const kept = KEPT.map((name) => [name, env[name]] as const);
  return {
    ...Object.fromEntries(kept.filter(([, value]) => value !== undefined)),
    PATH,
    HOME: homedir(),
    USER: username,
    LOGNAME: username,
    SHELL,
    TANDEM_SERVICE_SHELL: '1',
  };
}
