/**
 * The composition root of the installer process: one JSON request on standard input, NDJSON replies
 * on standard output, then it ends. Always holds: the process does one thing and ends; it ends soon
 * when its standard input closes, because then the daemon that wanted the work is gone; nothing but
 * replies goes to standard output. It can be an entry of its own (`node src/installer.ts`), besides
 * the one in main.ts. Imports bundle, drivers and the install room.
 */
import { asUpdateError, UpdateError } from './core/errors.ts';
import type { InstallerReply, InstallerRequest } from './install/protocol.ts';
import { readRequest } from './install/request.ts';
import type { WorkOptions } from './install/verify.ts';

/**
 * Reads the request, does it, replies. Returns when the last reply was handed over; the process
 * ends by itself then. `entry` is the file that worker threads start from: the program's own.
 */
export async function runInstaller(entry: string = process.argv[1] ?? ''): Promise<void> {
  const stop = new AbortController();
  const cancel = (): void => {
    stop.abort(new UpdateError('job.cancelled', 'the installer was told to stop'));
  };
  process.once('SIGTERM', cancel);
  process.once('SIGINT', cancel);
  process.stdout.once('error', cancel);
  try {
    const request = await readRequest(process.stdin, cancel);
    await reply({ type: 'done', result: await perform(request, entry, stop.signal) });
  } catch (error) {
    await reply({ type: 'failed', error: asUpdateError(error).report() });
  } finally {
    // Open input and signal handlers would keep a process alive that has nothing left to do.
    process.stdin.destroy();
    process.off('SIGTERM', cancel);
    process.off('SIGINT', cancel);
  }
}

/** Each kind of work loads what it needs, and nothing of the others. */
async function perform(
  request: InstallerRequest,
  entry: string,
  signal: AbortSignal,
): Promise<Extract<InstallerReply, { type: 'done' }>['result']> {
  const options: WorkOptions = {
    signal,
    onProgress: (progress) => void reply({ type: 'progress', ...progress }),
  };
  switch (request.do) {
    case 'verify': {
      const { verifyFile } = await import('./install/verify.ts');
      return await verifyFile(request.path, request.trustRoot, options);
    }
    case 'stage': {
      const { stageFile } = await import('./install/stage.ts');
      return await stageFile(request, options);
    }
    case 'fetch': {
      const { fetchBundle } = await import('./install/fetch.ts');
      return await fetchBundle(request, options);
    }
    case 'install': {
      const { installImages } = await import('./install/pipeline.ts');
      // Hash and decompressor do the work, and what V8 optimizes beside them takes 5 MiB for
      // nothing. Not before: code that was made beforehand is not taken with other flags.
      (await import('node:v8')).setFlagsFromString('--no-opt');
      return await installImages(request, { ...options, entry: entry === '' ? null : entry });
    }
    case 'serve': {
      const { serveFile } = await import('./install/serve.ts');
      await serveFile(request, {
        signal,
        onListening: (port) => void reply({ type: 'listening', port }),
        onTrouble: (message) => void process.stderr.write(`${message}\n`),
      });
      return null;
    }
  }
}

/** Never fails: a daemon that does not listen any more has closed our input as well. */
async function reply(message: InstallerReply): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve());
  await promise;
}

/** True when this very file was started, as the process or as its worker; not inside a bundle. */
const isEntry = import.meta.filename.endsWith('installer.ts') && startedAs(import.meta.filename);

function startedAs(file: string): boolean {
  return process.argv[1] === file;
}

async function runEntry(): Promise<void> {
  const { isMainThread } = await import('node:worker_threads');
  await (isMainThread ? runInstaller() : import('./install/worker.ts'));
}

// Without a wait here: an entry that waits could not be a part of a program in parts.
if (isEntry) void runEntry();
