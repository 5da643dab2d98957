/**
 * The port Installer as a child process of low priority: a request goes in, replies come out, the
 * process ends. Always holds: `run` settles only after its process has ended, so two runs in a row
 * never overlap; an aborted run tells the process to stop and kills it when it does not; a process
 * that ends without its last reply is `installer.crashed` with its last words. Imports core, ports,
 * node: and the child driver.
 */
import { constants, setPriority } from 'node:os';
import { UpdateError } from '../core/errors.ts';
import type { ErrorReport } from '../core/errors.ts';
import type { Progress } from '../core/model.ts';
import { INSTALLER_ROLE } from '../core/program-roles.ts';
import type { Installer } from '../ports.ts';
import { startChild, type ManagedChild } from './managed-child.ts';

/** Longest reply; the largest one carries a manifest (1 MiB), escaped. */
const REPLY_BYTES_MAX = 8 * 1024 * 1024;
/**
 * The installer works in buffers that it uses again and again; a nursery of one MiB, swept by one
 * thread, is enough for the rest and keeps the process small.
 */
export const INSTALLER_FLAGS = ['--max-semi-space-size=1', '--no-parallel-scavenge'] as const;
/** Time to stop after SIGTERM before SIGKILL. */
const GRACE_MS = 5000;

/** How the installer's process is started. */
export interface InstallerProcessOptions {
  /** The program's entry file, from source or bundled. */
  readonly entry: string;
  /** Arguments that make it the installer; `['__installer']` unless the entry is installer.ts. */
  readonly args?: readonly string[];
  /** The Node that runs it; this process's own by default. */
  readonly execPath?: string;
  /** Keeps what the process says on its error output; bounded. */
  readonly logFile: string;
  /** Grace after SIGTERM in milliseconds, 5000 by default. */
  readonly graceMs?: number;
}

/** What a process says; the shape of src/install/protocol.ts, from which drivers do not import. */
type Reply =
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly error: ErrorReport };

type RunOptions = Parameters<Installer['run']>[1];

/** The installer of this node. */
export function processInstaller(options: InstallerProcessOptions): Installer {
  return {
    run: async <T>(request: object, run: RunOptions): Promise<T> => {
      run.signal.throwIfAborted();
      return (await new Run(options, run).perform(request)) as T;
    },
  };
}

/** One process. */
class Run {
  readonly #options: InstallerProcessOptions;
  readonly #run: RunOptions;
  readonly #ended = Promise.withResolvers<string>();
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #deaf = false;
  #last: Extract<Reply, { type: 'done' | 'failed' }> | null = null;

  constructor(options: InstallerProcessOptions, run: RunOptions) {
    this.#options = options;
    this.#run = run;
  }

  async perform(request: object): Promise<unknown> {
    const { signal } = this.#run;
    const { execPath, entry, args, logFile, graceMs } = this.#options;
    const child = startChild({
      execPath: execPath ?? process.execPath,
      program: entry,
      args: args ?? [INSTALLER_ROLE],
      nodeFlags: INSTALLER_FLAGS,
      logFile,
      onOutput: (chunk) => this.#receive(chunk, child),
      onExit: (reason) => this.#ended.resolve(reason),
    });
    lowerPriority(child.pid);
    const stop = (): void => void child.stop(graceMs ?? GRACE_MS);
    signal.addEventListener('abort', stop, { once: true });
    try {
      child.write(`${JSON.stringify(request)}\n`);
      const reason = await this.#ended.promise;
      signal.throwIfAborted();
      return this.#outcome(reason);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #outcome(reason: string): unknown {
    const last = this.#last;
    if (last?.type === 'done') return last.result;
    if (last?.type === 'failed') throw UpdateError.from(last.error);
    throw new UpdateError('installer.crashed', `the installer process ${reason}`, {
      detail: { reason },
    });
  }

  #receive(chunk: Buffer, child: ManagedChild): void {
    if (this.#deaf) return;
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...this.#pending, rest.subarray(0, end)]).toString('utf8');
      this.#pending = [];
      this.#pendingBytes = 0;
      rest = rest.subarray(end + 1);
      this.#hear(line, child);
      if (this.#deaf) return;
    }
    this.#pending.push(rest);
    this.#pendingBytes += rest.length;
    if (this.#pendingBytes > REPLY_BYTES_MAX) this.#distrust(child);
  }

  /** What speaks is not our installer: nothing that it says counts any more. */
  #distrust(child: ManagedChild): void {
    this.#deaf = true;
    this.#pending = [];
    this.#last = null;
    void child.stop(0);
  }

  #hear(line: string, child: ManagedChild): void {
    let reply: Reply;
    try {
      reply = JSON.parse(line) as Reply;
    } catch {
      this.#distrust(child);
      return;
    }
    switch (reply.type) {
      case 'progress': {
        const { type: _type, ...progress } = reply;
        this.#run.onProgress?.(progress);
        return;
      }
      case 'listening':
        this.#run.onListening?.(reply.port);
        return;
      case 'done':
      case 'failed':
        this.#last = reply;
    }
  }
}

/** The node's own work and its service come first. A process that is gone already needs nothing. */
function lowerPriority(pid: number): void {
  if (pid <= 0) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It runs with the priority that it has.
  }
}
