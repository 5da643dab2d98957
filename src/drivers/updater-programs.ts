/**
 * Which program does the work of the installer: the node's own, or a newer updater that a bundle
 * brought. Always holds: a newer one counts only after it was tried out; what is on trial when the
 * daemon ends is not in use afterwards; its digest is compared before each start; one that does not
 * start gives way to the node's own, which does the work at once; and it never outlives a program
 * of the node that is as new. Imports core, ports and the drivers of files.
 */
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import { compareVersions } from '../core/version.ts';
import type { Installer } from '../ports.ts';
import { readFileLimited, syncDirectory, writeFileAtomic } from './fs-atomic.ts';

/** Largest updater, as the format of bundles has it (docs/bundle.md B1.4). */
const PROGRAM_BYTES_MAX = 16 * 1024 * 1024;
const CHOICE = 'choice.json';
const CHOICE_BYTES_MAX = 4096;
/** A program that does not say its version within this time did not start. */
const VERSION_MS = 120_000;

/** The newer updater that is in use. */
export interface ChosenUpdater {
  readonly version: string;
  readonly sha256: Sha256;
  /** The bundle that brought it. */
  readonly bundle: Sha256;
}

/** The choice between the programs of a node. */
export interface UpdaterPrograms {
  /** Null = the node's own program does the work. */
  chosen(): ChosenUpdater | null;
  /**
   * Lays a newer updater down, starts it, lets `check` try it out, and uses it from then on. Throws
   * `updater.unhealthy` when it does not start or does not pass; nothing has changed then.
   */
  switchTo(
    program: ChosenUpdater & { readonly bytes: Uint8Array },
    signal: AbortSignal,
    check: (installer: Installer) => Promise<void>,
  ): Promise<void>;
  /** The node's own program does the work again. Idempotent. */
  giveUp(): Promise<void>;
}

/** What the choice is made between. */
export interface ProgramParts {
  /** Folder for the newer one, for root alone. */
  readonly dir: string;
  readonly own: Installer;
  readonly ownVersion: string;
  /** The installer that a program file is. */
  readonly installerOf: (entry: string) => Installer;
  /** What a program says of itself; `programVersion` unless a test says otherwise. */
  readonly versionOf?: (entry: string, signal: AbortSignal) => Promise<string>;
  /** A line for people when the choice has changed by itself. */
  readonly tell: (line: string) => void;
}

/** What `FILE --version` prints. Throws plain errors of the system. */
export async function programVersion(entry: string, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(VERSION_MS)]);
  const { stdout } = await promisify(execFile)(process.execPath, [entry, '--version'], {
    signal: limit,
    maxBuffer: CHOICE_BYTES_MAX,
  });
  return stdout.trim();
}

/** Opens the choice as the end of the last daemon left it. */
export async function openUpdaterPrograms(
  parts: ProgramParts,
): Promise<UpdaterPrograms & Installer> {
  const programs = new Programs(parts);
  await programs.open();
  return programs;
}

class Programs implements UpdaterPrograms, Installer {
  readonly #parts: ProgramParts;
  #chosen: ChosenUpdater | null = null;

  constructor(parts: ProgramParts) {
    this.#parts = parts;
  }

  chosen(): ChosenUpdater | null {
    return this.#chosen;
  }

  async open(): Promise<void> {
    const { tell, ownVersion } = this.#parts;
    try {
      const found = await this.#read();
      if (found === null) return;
      const { state, ...choice } = found;
      if (state === 'trial') tell(`updater ${choice.version} was on trial and is not used`);
      else if (compareVersions(choice.version, ownVersion) > 0) {
        await this.#checkFile(choice);
        this.#chosen = choice;
        return;
      }
    } catch (cause) {
      tell(`the newer updater is not used: ${asUpdateError(cause).message}`);
    }
    await this.#forget();
  }

  async switchTo(
    { bytes, ...choice }: ChosenUpdater & { readonly bytes: Uint8Array },
    signal: AbortSignal,
    check: (installer: Installer) => Promise<void>,
  ): Promise<void> {
    const before = this.#chosen;
    const path = this.#path(choice);
    try {
      await this.#inFolder();
      await writeFileAtomic(path, bytes);
      await this.#checkFile(choice);
      await this.#write('trial', choice);
      await this.#tryOut(choice, path, signal, check);
      await this.#write('chosen', choice);
      this.#chosen = choice;
    } catch (cause) {
      await this.#rollBack(before, choice);
      signal.throwIfAborted();
      const error = asUpdateError(cause);
      if (error.code === 'updater.unhealthy' || error.code === 'state.io') throw error;
      const message = `updater ${choice.version}: ${error.message}`;
      throw new UpdateError('updater.unhealthy', message, { cause });
    }
    await this.#sweep();
  }

  async giveUp(): Promise<void> {
    if (this.#chosen === null) return;
    this.#chosen = null;
    await this.#forget();
  }

  async run<T>(request: object, options: Parameters<Installer['run']>[1]): Promise<T> {
    const chosen = this.#chosen;
    const { own, installerOf, tell } = this.#parts;
    if (chosen === null) return own.run<T>(request, options);
    let answered = false;
    const { onProgress, onListening } = options;
    const heard: typeof options = {
      ...options,
      onProgress: (progress) => {
        answered = true;
        onProgress?.(progress);
      },
      onListening: (port) => {
        answered = true;
        onListening?.(port);
      },
    };
    try {
      await this.#checkFile(chosen);
      return await installerOf(this.#path(chosen)).run<T>(request, heard);
    } catch (cause) {
      options.signal.throwIfAborted();
      const error = asUpdateError(cause);
      const started = answered || !['installer.crashed', 'updater.unhealthy'].includes(error.code);
      if (started) throw cause;
      tell(`updater ${chosen.version} is given up, it did not start: ${error.message}`);
      await this.giveUp();
      return own.run<T>(request, options);
    }
  }

  async #tryOut(
    { version }: ChosenUpdater,
    path: string,
    signal: AbortSignal,
    check: (installer: Installer) => Promise<void>,
  ): Promise<void> {
    const says = await (this.#parts.versionOf ?? programVersion)(path, signal);
    if (says !== version) {
      const message = `the updater says that it is version ${says}, the bundle says ${version}`;
      throw new UpdateError('updater.unhealthy', message);
    }
    await check(this.#parts.installerOf(path));
  }

  /** What was in use before is in use again. */
  async #rollBack(before: ChosenUpdater | null, choice: ChosenUpdater): Promise<void> {
    if (before === null) await this.#forget();
    else await this.#write('chosen', before);
    if (before?.sha256 !== choice.sha256) await rm(this.#path(choice), { force: true });
  }

  #path({ sha256 }: Pick<ChosenUpdater, 'sha256'>): string {
    return join(this.#parts.dir, `${sha256}.mjs`);
  }

  async #checkFile(choice: ChosenUpdater): Promise<void> {
    const path = this.#path(choice);
    const found = await readFileLimited(path, PROGRAM_BYTES_MAX).catch((cause: unknown) => {
      throw new UpdateError('updater.unhealthy', asUpdateError(cause).message, { cause });
    });
    const digest = hash('sha256', found, 'hex');
    if (digest === choice.sha256) return;
    const message = `${path} has SHA-256 ${digest}, expected ${choice.sha256}`;
    throw new UpdateError('updater.unhealthy', message);
  }

  async #read(): Promise<(ChosenUpdater & { readonly state: string }) | null> {
    const path = join(this.#parts.dir, CHOICE);
    let text: string;
    try {
      text = (await readFileLimited(path, CHOICE_BYTES_MAX)).toString('utf8');
    } catch (cause) {
      if (asUpdateError(cause).code === 'file.not_found') return null;
      throw cause;
    }
    const { v, state, version, sha256, bundle } = JSON.parse(text) as Record<string, unknown>;
    const texts = [state, version, sha256, bundle].every((word) => typeof word === 'string');
    if (v !== 1 || !texts || !/^[0-9a-f]{64}$/.test(String(sha256))) {
      throw new UpdateError('state.io', `${path} is not a choice of an updater`);
    }
    const found = { version, sha256, bundle } as ChosenUpdater;
    return { ...found, state: String(state) };
  }

  async #write(state: 'trial' | 'chosen', { version, sha256, bundle }: ChosenUpdater) {
    const choice = { v: 1, state, version, sha256, bundle };
    await writeFileAtomic(join(this.#parts.dir, CHOICE), `${JSON.stringify(choice)}\n`);
  }

  async #inFolder(): Promise<void> {
    const { dir } = this.#parts;
    try {
      const made = await mkdir(dir, { recursive: true, mode: 0o700 });
      if (made !== undefined) await syncDirectory(join(dir, '..'));
    } catch (cause) {
      throw new UpdateError('state.io', `${dir} cannot be made: ${asUpdateError(cause).message}`);
    }
  }

  /** The choice goes first: a program that nobody chose is never started. */
  async #forget(): Promise<void> {
    const { dir, tell } = this.#parts;
    try {
      await rm(join(dir, CHOICE), { force: true });
      await syncDirectory(dir).catch(() => undefined);
      await this.#sweep();
    } catch (cause) {
      tell(`the newer updater cannot be removed: ${asUpdateError(cause).message}`);
    }
  }

  /** Programs that are not in use. */
  async #sweep(): Promise<void> {
    const { dir } = this.#parts;
    const kept = this.#chosen === null ? null : `${this.#chosen.sha256}.mjs`;
    for (const name of await readdir(dir).catch(() => [])) {
      if (/^[0-9a-f]{64}\.mjs$/.test(name) && name !== kept) {
        await rm(join(dir, name), { force: true });
      }
    }
  }
}
