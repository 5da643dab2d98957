/**
 * Makes one support archive, in a process of its own: a disk that hangs may hold up threads of this
 * process and none of the daemon's. Always holds: what cannot be read within its time is a line of
 * the manifest, and the archive goes on; a disk that hung twice is not asked again; the archive has
 * its size limit and leaves the reserve of its disk alone; a file appears under its name only when
 * it is whole and on disk. Imports core, fs-extra and its own folder.
 */
import { statfs } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fse from 'fs-extra';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { syncDirectory } from '../drivers/fs-atomic.ts';
import { fileSources, jsonText, type Source, type Taken } from './support-files.ts';
import { readmeOf } from './support-readme.ts';
import { REQUEST_BYTES_MAX, type SupportReply, type SupportRequest } from './support-request.ts';
import { systemSources } from './support-system.ts';
import { scrub } from './support-scrub.ts';
import { ArchiveWriter } from './support-writer.ts';

/** One thing may take this long to be read. */
const SOURCE_MS = 4000;
/** Reads that hang on one disk before it is not asked any more. */
const HANGS_MAX = 2;
/** Archives smaller than this help nobody. */
const BYTES_MIN = 512 * 1024;

function say(reply: SupportReply): void {
  process.stderr.write(`${JSON.stringify(reply)}\n`);
}

/** Reads the request, makes the archive, says how it ended, and ends. Never throws. */
export async function runSupport(): Promise<void> {
  try {
    const request = await readRequest();
    say(await make(request));
  } catch (error) {
    say({ type: 'failed', error: asUpdateError(error).report() });
  }
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  // A thread that hangs in a disk would keep an exit waiting for ever.
  process.kill(process.pid, 'SIGKILL');
}

async function readRequest(): Promise<SupportRequest> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > REQUEST_BYTES_MAX) {
      throw new UpdateError('internal.bug', `the request has more than ${REQUEST_BYTES_MAX} bytes`);
    }
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as SupportRequest;
}

async function make(request: SupportRequest): Promise<SupportReply> {
  const { out } = request;
  if (out === null) return write(request, process.stdout, null);
  const part = `${out.path}.part`;
  try {
    await fse.ensureDir(dirname(out.path), { mode: 0o700 });
    await fse.remove(part);
    const sink = createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true });
    const done = await write(request, sink, out);
    await fse.move(part, out.path);
    await syncDirectory(dirname(out.path));
    return done;
  } catch (error) {
    await fse.remove(part).catch(() => undefined);
    throw asIo(error, out.path);
  }
}

function asIo(error: unknown, path: string): UpdateError {
  if (error instanceof UpdateError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  const words = `the archive ${path} cannot be written: ${message}`;
  return new UpdateError(full ? 'support.space' : 'state.io', words, { cause: error });
}

/** Bytes that may be written to the disk of the archive without its reserve. */
async function budget(out: { readonly path: string; readonly freeBytes: number }): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(out.path));
  return bavail * bsize - out.freeBytes;
}

async function write(
  request: SupportRequest,
  sink: Writable,
  out: SupportRequest['out'],
): Promise<SupportReply> {
  const { limits, name } = request;
  const room = out === null ? limits.bytesMax : await budget(out);
  if (room < Math.min(BYTES_MIN, limits.bytesMax)) {
    const message = `${Math.max(0, room)} bytes are free for an archive beside the reserve`;
    throw new UpdateError('support.space', message);
  }
  const bytesMax = Math.min(limits.bytesMax, room);
  const at = new Date();
  const archive = new ArchiveWriter(sink, { top: name, bytesMax, at });
  const maker = new Maker(request, archive, out);
  await maker.readme(at.toISOString());
  await maker.run();
  const { missing } = maker;
  await archive.end({ v: 1, madeAt: at.toISOString(), ...headOf(request), missing });
  return { type: 'done', bytes: archive.bytes, files: archive.entries.length, missing };
}

function headOf({ name, node, program, limits, absent }: SupportRequest): object {
  return { name, node, program, nodejs: process.version, limits, absent };
}

/** Takes one thing after the other. */
class Maker {
  readonly #request: SupportRequest;
  readonly #archive: ArchiveWriter;
  readonly #out: SupportRequest['out'];
  readonly #hangs = new Map<string, number>();
  /** Spent on compressing and on a reader that is slow: a serial line takes minutes. */
  #sinkMs = 0;
  readonly missing: string[] = [];

  constructor(request: SupportRequest, archive: ArchiveWriter, out: SupportRequest['out']) {
    this.#request = request;
    this.#archive = archive;
    this.#out = out;
  }

  async readme(madeAt: string): Promise<void> {
    const content = Buffer.from(scrub(readmeOf(this.#request, madeAt)));
    await this.#archive.add('README.txt', content, 'made with this archive');
  }

  async run(): Promise<void> {
    const { extras, places, limits } = this.#request;
    for (const { path, from, value } of extras) {
      const text = typeof value === 'string' ? Buffer.from(scrub(value)) : jsonText(value);
      await this.#add({ path, from, content: text });
    }
    const sources = [...fileSources(places, limits.logBytes), ...systemSources()];
    const startMs = performance.now();
    for (const [done, source] of sources.entries()) {
      const { bytes } = this.#archive;
      say({ type: 'progress', done, total: sources.length, what: source.path, bytes });
      const readMs = performance.now() - startMs - this.#sinkMs;
      if (readMs > limits.timeMs) this.#miss(source.path, 'the time for this archive was over');
      else await this.#take(source);
    }
  }

  async #take(source: Source): Promise<void> {
    const disk = this.#diskOf(source);
    if (disk !== null && (this.#hangs.get(disk) ?? 0) >= HANGS_MAX) {
      this.#miss(source.path, 'its disk does not answer');
      return;
    }
    const stop = new AbortController();
    const late = sleep(SOURCE_MS, null, { signal: stop.signal }).catch(() => null);
    try {
      const taken = await Promise.race([source.take(stop.signal), late]);
      if (taken === null) {
        if (disk !== null) this.#hangs.set(disk, (this.#hangs.get(disk) ?? 0) + 1);
        this.#miss(source.path, `not read within ${SOURCE_MS / 1000} s`);
      } else for (const one of taken) await this.#add(one);
    } catch (error) {
      if (error instanceof SinkError) throw error.cause;
      this.#miss(source.path, scrub((error as Error).message));
    } finally {
      stop.abort();
    }
  }

  /** The place that a source is read from: what hangs there once will hang again. */
  #diskOf({ disk }: Source): string | null {
    const { stateDir, bootDir, slotsDir, rootDir } = this.#request.places;
    const inside = [bootDir, slotsDir, stateDir].find((place) => disk?.startsWith(place));
    return disk === null ? null : (inside ?? rootDir);
  }

  /** What the sink refuses ends the archive, and is no fault of what was read. */
  async #add({ path, from, content, cutBytes }: Taken): Promise<void> {
    const fits = this.#out === null || (await budget(this.#out)) > content.length;
    if (!fits) {
      this.#miss(path, 'the disk of the archive has no more room');
      return;
    }
    const beganMs = performance.now();
    try {
      const added = await this.#archive.add(path, content, from, cutBytes);
      if (!added) this.#miss(path, 'the archive is as large as it may be');
    } catch (cause) {
      throw new SinkError('the archive cannot be written', { cause });
    } finally {
      this.#sinkMs += performance.now() - beganMs;
    }
  }

  #miss(path: string, why: string): void {
    this.missing.push(`${path}: ${why}`);
  }
}

class SinkError extends Error {}
