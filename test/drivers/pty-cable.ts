/**
 * Two pseudo terminals joined like two serial ports with a cable, out of what every Debian has:
 * `script` (package bsdutils, essential) makes a terminal and carries its bytes to pipes, which are
 * joined here. A terminal ignores the speed and has no modem lines. Only tests import it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** One pseudo terminal. */
export interface Pty {
  readonly path: string;
  readonly process: ChildProcess;
}

/** What runs inside: bytes pass as they are, nothing is echoed, and the terminal stays open. */
const INSIDE = 'stty raw -echo && tty && exec sleep 600';

/** Makes a terminal; throws when this machine has no `script` or no terminals. */
export async function openPty(): Promise<Pty> {
  const child = spawn('script', ['--quiet', '--flush', '--command', INSIDE, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh' },
  });
  child.stdin.on('error', () => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const gather = (chunk: Buffer): void => {
    text += chunk.toString();
    if (text.includes('\n')) resolve(text.trim());
  };
  child.stdout.on('data', gather);
  child.once('error', reject);
  child.once('exit', () => reject(new Error(`script ended: ${text.trim()}`)));
  const pty = { path: await promise, process: child };
  child.stdout.off('data', gather).pause();
  if (pty.path.startsWith('/dev/')) return pty;
  await hangUp(pty);
  throw new Error(`script gave no terminal but ${pty.path}`);
}

/** Joins two terminals; what one end sends arrives at the other. */
export function joinPtys(a: Pty, b: Pty): void {
  a.process.stdout!.pipe(b.process.stdin!, { end: false });
  b.process.stdout!.pipe(a.process.stdin!, { end: false });
}

/** Ends a terminal, which hangs up on whoever has it open. */
export async function hangUp({ process: child }: Pty): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
