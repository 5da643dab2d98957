/**
 * The content of an ext4 image as a directory, without root and without a mount: `debugfs` dumps
 * it (Debian package e2fsprogs). Always holds: the target directory appears only when it is
 * complete, with its release file; an older one is replaced. debugfs ends with status 0 whatever
 * happens, so everything that it complains about counts as a failure, except that only root can
 * give files away. Imports core and node: only.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { UpdateError } from '../core/errors.ts';
import { RELEASE_FILE } from '../core/model.ts';

const run = promisify(execFile);

/** Longest time for one image; 319 MB take 1.4 s on a small machine. */
const UNPACK_MS = 120_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
/** The directories of system tools, which the PATH of a user may lack. */
const TOOL_PATH = [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter);

/**
 * Unpacks the whole image into `targetDir`. Throws `tool.missing` when debugfs is not installed,
 * `slot.unpack` with its words when the image cannot be read or has no release file, and the
 * signal's reason. What was in `targetDir` before is gone then, or still whole.
 */
export async function unpackImage(
  imageFile: string,
  targetDir: string,
  signal: AbortSignal,
): Promise<void> {
  const part = `${targetDir}.part`;
  try {
    await access(imageFile);
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw failed(imageFile, (cause as Error).message, cause);
  }
  try {
    refuseComplaints(imageFile, await dump(imageFile, part, signal));
    await access(join(part, RELEASE_FILE)).catch((cause: unknown) => {
      throw failed(imageFile, `it holds no ${RELEASE_FILE}`, cause);
    });
    await rm(targetDir, { recursive: true, force: true });
    await rename(part, targetDir);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    signal.throwIfAborted();
    throw error instanceof UpdateError ? error : failed(imageFile, String(error), error);
  }
}

/** What debugfs had to say on its error output. */
async function dump(imageFile: string, dir: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  // The request is one string that debugfs splits at blanks; run inside the parent, the directory
  // is a plain name and nothing in it needs quotes.
  const cwd = dirname(resolve(dir));
  const name = basename(dir);
  if (!/^[\w.-]+$/.test(name)) {
    throw failed(imageFile, `the directory name ${name} has unusual characters`);
  }
  try {
    const { stderr } = await run('debugfs', ['-R', `rdump / ${name}`, resolve(imageFile)], {
      cwd,
      signal,
      timeout: UNPACK_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      env: { ...process.env, PATH: TOOL_PATH, LC_ALL: 'C' },
    });
    return stderr;
  } catch (cause) {
    signal.throwIfAborted();
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      const text = 'debugfs is not installed (Debian package e2fsprogs)';
      throw new UpdateError('tool.missing', text, {
        cause,
        detail: { tool: 'debugfs', package: 'e2fsprogs' },
      });
    }
    throw failed(imageFile, (cause as Error).message.split('\n')[0] ?? '', cause);
  }
}

function refuseComplaints(imageFile: string, stderr: string): void {
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !/^debugfs \d/.test(line) && !ownership(line));
  if (complaints.length > 0) throw failed(imageFile, complaints.slice(0, 3).join('; '));
}

/** Without root the files belong to whoever unpacks them, which is as good for running them. */
function ownership(line: string): boolean {
  return process.geteuid?.() !== 0 && line.includes('while changing ownership of');
}

function failed(imageFile: string, text: string, cause?: unknown): UpdateError {
  const options = cause === undefined ? {} : { cause };
  return new UpdateError('slot.unpack', `${imageFile} cannot be unpacked: ${text}`, options);
}
