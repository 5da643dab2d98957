/**
 * The answers to the kernel's question whether the lost peer is fenced. The kernel runs the script
 * below (drbdadm fence-peer); it leaves a request in a folder in memory and waits for an answer,
 * while input and output stand still. Always holds: nothing but the word of core lets a primary go
 * on, and it counts from `give` to `take`; a script whose storage software is gone ends without a
 * word, and the kernel stays frozen. Exit
 * statuses: drbd user's guide 8.4, "The fence-peer handler". Imports core and node.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FENCE_SCRIPT } from './config.ts';

/** The peer is fenced: the kernel goes on and counts its copy as outdated. */
const FENCED = 7;
/** No word: whatever the kernel does not know as a status leaves it frozen. */
const NO_WORD = 1;
/** How often the folder is looked at while a word waits for its request. */
const LOOK_MS = 50;

/** Folders and script of the handler. */
export interface FencePaths {
  readonly script: string;
  /** Requests, a folder each. */
  readonly requests: string;
  /** Process id of the storage software. */
  readonly pidFile: string;
}

/** The machine's own. */
export const FENCE_PATHS: FencePaths = {
  script: FENCE_SCRIPT,
  requests: join(dirname(FENCE_SCRIPT), 'requests'),
  pidFile: join(dirname(FENCE_SCRIPT), 'pid'),
};

/** The handler as a program for the shell of busybox. */
export function fenceScript({ requests, pidFile }: FencePaths): string {
  return `#!/bin/sh
# Called by DRBD when the peer is lost; input and output stand still until this ends. Written by the
# storage software, which answers; without it there is no word, and the kernel stays frozen.
read -r pid <${pidFile} || exit ${NO_WORD}
request=${requests}/$$
# What an earlier process with this number left behind is no answer.
rm -rf "$request" "$request.done"
mkdir -p "$request" || exit ${NO_WORD}
while [ ! -s "$request/answer" ]; do
  kill -0 "$pid" 2>/dev/null || break
  usleep 100000 2>/dev/null || sleep 1
done
status=${NO_WORD}
[ -s "$request/answer" ] && read -r status <"$request/answer"
# Under another name nothing is put into it any more while it is removed.
mv "$request" "$request.done" && rm -rf "$request.done"
exit "$status"
`;
}

/** What gives the word; tests have another one. */
export type FencePort = Pick<FenceWord, 'give' | 'take' | 'refuse'>;

/** Gives the word of core to the handler; disposing of it takes back what nobody asked for. */
export class FenceWord implements Disposable {
  readonly #paths: FencePaths;
  #timer: NodeJS.Timeout | null = null;
  #given = false;

  private constructor(paths: FencePaths) {
    this.#paths = paths;
  }

  /** Puts the script in its place. Requests of an earlier process end without a word. */
  static async open(paths: FencePaths = FENCE_PATHS): Promise<FenceWord> {
    const word = new FenceWord(paths);
    await mkdir(paths.requests, { recursive: true, mode: 0o700 });
    await writeFile(paths.pidFile, `${process.pid}\n`);
    const part = `${paths.script}.part`;
    await writeFile(part, fenceScript(paths), { mode: 0o755 });
    await rename(part, paths.script);
    await word.refuse();
    return word;
  }

  /** The peer may not take over: every request is answered so until `take`. */
  async give(): Promise<void> {
    this.#given = true;
    await this.#look();
  }

  /** The word does not count any more; requests that come now wait for the next one. */
  take(): void {
    this.#given = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Ends the requests that are there without a word, as long as that is wanted. */
  async refuse(wanted: () => boolean = () => true): Promise<void> {
    await this.#answer(NO_WORD, wanted);
  }

  [Symbol.dispose](): void {
    this.take();
  }

  async #look(): Promise<void> {
    await this.#answer(FENCED, () => this.#given);
    if (!this.#given) return;
    this.#timer = setTimeout(() => void this.#look().catch(() => undefined), LOOK_MS);
  }

  /** Answers the requests that are there. */
  async #answer(status: number, wanted: () => boolean): Promise<void> {
    const { requests } = this.#paths;
    for (const name of await readdir(requests).catch(() => [])) {
      const part = join(requests, name, 'part');
      if (!wanted()) return;
      if (!isAlive(Number(name))) {
        await rm(join(requests, name), { recursive: true, force: true });
        continue;
      }
      try {
        await writeFile(part, `${status}\n`);
        await rename(part, join(requests, name, 'answer'));
      } catch {
        // The script has ended meanwhile.
        await rm(part, { force: true }).catch(() => undefined);
      }
    }
  }
}

/** The script with this process id waits; one that was killed left its request behind. */
function isAlive(pid: number): boolean {
  try {
    return Number.isSafeInteger(pid) && pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}
