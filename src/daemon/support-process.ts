/**
 * Runs the process that makes a support archive, for the daemon and for a command line without one.
 * Always holds: the process has low priority, a time after which it is ended, and dies with the one
 * who asked; an archive on the way counts only once the process has said that it is whole. Imports
 * node, core and the shapes of request and replies.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { UpdateError } from '../core/errors.ts';
import { SUPPORT_ROLE } from '../core/program-roles.ts';
import type { SupportDone, SupportProgress } from './support-request.ts';
import type { SupportReply, SupportRequest } from './support-request.ts';

/** What the process may take beyond its own limit, without a word, before it is ended. */
const GRACE_MS = 20_000;
/** Longest line of the process. */
const LINE_CHARS_MAX = 256 * 1024;

/** How the process is started, and who listens. */
export interface SupportRun {
  /** The program's entry file, from source or bundled. */
  readonly entry: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: SupportProgress) => void;
}

/** Makes the file that the request names. Throws why there is none. */
export async function makeArchive(request: SupportRequest, run: SupportRun): Promise<SupportDone> {
  await using maker = new MakerProcess(request, run);
  maker.child.stdout.resume();
  return await maker.done;
}

/** Makes an archive and gives its bytes; throws at its end when it is not whole. */
export async function* streamArchive(
  request: SupportRequest,
  run: SupportRun,
): AsyncGenerator<Uint8Array, void, void> {
  await using maker = new MakerProcess({ ...request, out: null }, run);
  for await (const chunk of maker.child.stdout as AsyncIterable<Buffer>) {
    maker.goesOn();
    yield chunk;
  }
  await maker.done;
}

class MakerProcess implements AsyncDisposable {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Its last word. Throws when it failed, was cancelled, or ended without one. */
  readonly done: Promise<SupportDone>;
  readonly #run: SupportRun;
  readonly #ended: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  readonly #stop: () => void;
  #last: Exclude<SupportReply, SupportProgress> | null = null;
  #late = false;
  #rest = '';

  constructor(request: SupportRequest, run: SupportRun) {
    run.signal.throwIfAborted();
    this.#run = run;
    // Reads that hang occupy threads; the others need some as well.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '16' };
    const args = [run.entry, SUPPORT_ROLE];
    this.child = spawn(process.execPath, args, { cwd: '/', env, stdio: ['pipe', 'pipe', 'pipe'] });
    lowerPriority(this.child.pid);
    this.#stop = (): void => this.#kill();
    this.#timer = setTimeout(() => {
      this.#late = true;
      this.#kill();
    }, request.limits.timeMs + GRACE_MS);
    run.signal.addEventListener('abort', this.#stop, { once: true });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.child.stdin.on('error', () => undefined);
    this.child.stdin.end(JSON.stringify(request));
    this.#ended = new Promise((resolve) => {
      this.child.once('error', () => resolve());
      this.child.once('close', () => resolve());
    });
    this.done = this.#outcome();
    this.done.catch(() => undefined);
  }

  /** Its reader took something, so it may go on: how long that takes is the reader's business. */
  goesOn(): void {
    this.#timer.refresh();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#run.signal.removeEventListener('abort', this.#stop);
    this.#kill();
    // One that hangs in the kernel dies when its disk answers; nobody waits for that.
    this.child.stdout.destroy();
    this.child.stderr.destroy();
    this.child.unref();
    await Promise.resolve();
  }

  async #outcome(): Promise<SupportDone> {
    await this.#ended;
    const last = this.#last;
    if (last?.type === 'done') return last;
    if (last?.type === 'failed') throw UpdateError.from(last.error);
    this.#run.signal.throwIfAborted();
    const why = this.#late ? 'took too long' : 'ended without a word';
    throw new UpdateError('support.failed', `the process that makes the archive ${why}`);
  }

  #kill(): void {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.child.kill('SIGKILL');
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-LINE_CHARS_MAX);
    for (const line of lines) {
      const reply = parse(line);
      if (reply?.type === 'progress') this.#run.onProgress?.(reply);
      else if (reply !== null) this.#last = reply;
    }
  }
}

/** What is no reply is a warning of the runtime, and nobody's business. */
function parse(line: string): SupportReply | null {
  try {
    const reply = JSON.parse(line) as SupportReply;
    return ['progress', 'done', 'failed'].includes(reply.type) ? reply : null;
  } catch {
    return null;
  }
}

/** The node's own work and its service come first. */
function lowerPriority(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It runs with the priority that it has.
  }
}
