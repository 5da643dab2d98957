/**
 * Reads the events of the kernel as long as the program runs, and holds the newest state. Always
 * holds: the state is what one reader said since its picture was whole; a reader that ends is
 * replaced, and until the new one's picture is whole the old state stands, since the kernel goes on
 * as it was. Imports core and the parser.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { UpdateError } from '../../src/core/errors.ts';
import { RESOURCE } from './config.ts';
import {
  endsPicture,
  helperOf,
  lineReader,
  NOTHING,
  parseLine,
  stateAfter,
  type DrbdState,
  type HelperCall,
} from './events.ts';

/** Pause before a reader that ended is replaced. */
const RETRY_MS = 300;
/** Longest wait for the first picture. */
const PICTURE_MS = 10_000;

/** Told of what the kernel says. */
export interface WatcherOptions {
  readonly onState: (state: DrbdState, before: DrbdState) => void;
  readonly onHelper: (call: HelperCall) => void;
}

/** The reader of the events; disposing of it ends it. */
export class Watcher implements AsyncDisposable {
  readonly #options: WatcherOptions;
  #state = NOTHING;
  #picture = NOTHING;
  #whole = false;
  #child: ChildProcess | null = null;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #first = Promise.withResolvers<void>();
  readonly #waiters = new Set<() => void>();

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** What the kernel said last. */
  get state(): DrbdState {
    return this.#state;
  }

  /** The state is known when it resolves; throws `store.io` when the kernel tells none. */
  async start(): Promise<void> {
    this.#read();
    const timer = setTimeout(() => {
      this.#first.reject(new UpdateError('store.io', 'DRBD tells no state: no events are read'));
    }, PICTURE_MS);
    try {
      await this.#first.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves with true once the state is good, with false when it is not within the limit. */
  async until(good: (state: DrbdState) => boolean, limitMs: number): Promise<boolean> {
    if (good(this.#state)) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const look = (): void => {
      if (good(this.#state)) resolve(true);
    };
    this.#waiters.add(look);
    const timer = setTimeout(() => resolve(false), limitMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null || child.pid === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('close', () => resolve());
    child.kill('SIGTERM');
    await promise;
  }

  #read(): void {
    this.#picture = NOTHING;
    this.#whole = false;
    const args = ['events2', '--statistics'];
    const child = spawn('drbdsetup', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    const feed = lineReader((line) => this.#line(line));
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', feed);
    child.once('error', (cause) => {
      this.#first.reject(
        new UpdateError('store.io', `drbdsetup cannot be run: ${cause.message}`, { cause }),
      );
    });
    child.once('close', () => {
      if (this.#child === child) this.#child = null;
      if (!this.#closed) this.#timer = setTimeout(() => this.#read(), RETRY_MS);
    });
  }

  #line(text: string): void {
    const line = parseLine(text);
    if (line === null) return;
    if (!this.#whole && endsPicture(line)) {
      this.#whole = true;
      this.#first.resolve();
    } else {
      // The lines of other resources, if somebody has made some.
      if (line.fields.get('name') !== RESOURCE) return;
      const call = helperOf(line);
      if (call !== null) this.#options.onHelper(call);
      this.#picture = stateAfter(this.#picture, line);
    }
    if (this.#whole) this.#tell(this.#picture);
  }

  #tell(state: DrbdState): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    this.#options.onState(state, before);
    for (const look of this.#waiters) look();
  }
}
