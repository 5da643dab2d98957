/**
 * How this boot came about, from the words that the boot loader (images/boot/grub.cfg) puts on the
 * kernel command line: `tandem.slot=A`, `tandem.reason=trial`, `tandem.attempt=2`. Always holds:
 * nothing is guessed; a command line that lacks a word, repeats one or contradicts itself is an
 * error, because a node that is wrong about its slot would overwrite what it runs from. Imports
 * core, node and the files of the kernel.
 */
import { join } from 'node:path';
import type { BootInfo, BootReason } from '../core/boot.ts';
import { UpdateError } from '../core/errors.ts';
import type { Slot } from '../core/model.ts';
import { readKernelFile } from './kernel-file.ts';

const REASONS: readonly BootReason[] = ['default', 'trial', 'attempts-used', 'fallback'];
const WORDS = ['tandem.slot', 'tandem.reason', 'tandem.attempt', 'root'] as const;
type Word = (typeof WORDS)[number];
/** Where the root file system is by the label of its partition; other forms of `root` say less. */
const ROOT_LABEL = 'PARTLABEL=';

/** What the boot loader said of this boot. */
export type BootWords = Omit<BootInfo, 'bootId'>;

/**
 * The boot loader's words in a kernel command line. Throws `config.invalid` with what was found:
 * the machine was not started by the boot loader of an appliance, or not by this version of it.
 */
export function parseCommandLine(line: string): BootWords {
  const given = wordsOf(line);
  const slot = given.get('tandem.slot');
  if (slot !== 'A' && slot !== 'B') throw refuse('tandem.slot', slot, 'A or B');
  const reason = REASONS.find((one) => one === given.get('tandem.reason'));
  if (reason === undefined) {
    throw refuse('tandem.reason', given.get('tandem.reason'), REASONS.join(', '));
  }
  const attempt = given.get('tandem.attempt');
  const counts = reason === 'trial' ? /^[1-9]$/ : /^0$/;
  if (attempt === undefined || !counts.test(attempt)) {
    const expected = reason === 'trial' ? '1 to 9, as this is a trial' : '0, as this is no trial';
    throw refuse('tandem.attempt', attempt, expected);
  }
  checkRoot(given.get('root'), slot);
  return { slot, reason, attempt: Number(attempt) };
}

/**
 * How this boot came about, with the kernel's own id of it. `proc` is /proc. Throws
 * `config.invalid` when either is not known.
 */
export async function readBootInfo(proc: string): Promise<BootInfo> {
  const read = async (name: string): Promise<string> => {
    const path = join(proc, name);
    const text = await readKernelFile(path).catch((cause: unknown) => {
      throw new UpdateError('config.invalid', `${path} cannot be read`, { cause });
    });
    if (text === null) throw new UpdateError('config.invalid', `there is no ${path}`);
    return text;
  };
  const words = parseCommandLine(await read('cmdline'));
  const bootId = await read('sys/kernel/random/boot_id');
  if (!/^[A-Za-z0-9-]{1,64}$/.test(bootId)) {
    throw new UpdateError('config.invalid', 'the kernel gives this boot no id of its own');
  }
  return { bootId, ...words };
}

/**
 * The words of interest; those behind ` -- ` are for init, and blanks in double quotes separate
 * nothing. Source: kernel, Documentation/admin-guide/kernel-parameters.rst.
 */
function wordsOf(line: string): ReadonlyMap<Word, string> {
  const given = new Map<Word, string>();
  for (const text of line.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []) {
    if (text === '--') break;
    const name = WORDS.find((word) => text.startsWith(`${word}=`));
    if (name === undefined) continue;
    if (given.has(name)) throw refuse(name, 'given twice', 'each word once');
    given.set(name, text.slice(name.length + 1));
  }
  return given;
}

/** The file system that runs must be that of the slot which the boot loader names. */
function checkRoot(root: string | undefined, slot: Slot): void {
  const expected = `${ROOT_LABEL}tandem-system-${slot.toLowerCase()}`;
  if (root === undefined || !root.startsWith(ROOT_LABEL) || root === expected) return;
  throw refuse('root', root, `${expected}, as tandem.slot is ${slot}`);
}

function refuse(word: Word, found: string | undefined, expected: string): UpdateError {
  const shown = found === undefined ? 'missing' : found.slice(0, 60);
  const message = `${word} on the kernel command line is ${shown}, expected ${expected}`;
  return new UpdateError('config.invalid', message, { detail: { word, found: shown } });
}
