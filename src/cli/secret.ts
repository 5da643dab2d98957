/**
 * A secret as a command gets it: typed on the terminal without echo, or as the first line of
 * standard input. Always holds: it is never an argument of a command line, which every process of
 * the machine can see, and never shown; the terminal gets its echo back whatever happens. Imports
 * core and the shape of a verb.
 */
import type { ReadStream } from 'node:tty';
import { UpdateError } from '../core/errors.ts';
import { flag } from './values.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** Longest secret that is read, in bytes. */
const SECRET_BYTES_MAX = 1024;

/** The option of every verb that takes a password. */
export const PASSWORD_OPTION = {
  'password-stdin': {
    type: 'boolean',
    help: 'Read the password from the first line of standard input instead of asking for it.',
  },
} as const satisfies Record<string, VerbOption>;

/**
 * The new password for a user: asked for twice on the terminal, or read from standard input. Throws
 * `confirm.needed` where nobody can be asked, `confirm.wrong` when the two are not the same.
 */
export async function newPassword(name: string, values: VerbValues, io: CliIo): Promise<string> {
  if (flag(values, 'password-stdin')) return fromInput(io);
  if (io.askSecret === undefined || flag(values, 'json')) {
    const message = 'a password is needed, there is no terminal, and --password-stdin is missing';
    throw new UpdateError('confirm.needed', message);
  }
  const first = await io.askSecret(`New password for ${name}: `);
  if ((await io.askSecret('The same once more: ')) === first) return first;
  throw new UpdateError('confirm.wrong', 'the two passwords are not the same; nothing was changed');
}

async function fromInput({ input }: CliIo): Promise<string> {
  let text = '';
  if (input !== undefined) {
    const decoder = new TextDecoder();
    for await (const chunk of input()) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes('\n') || text.length > SECRET_BYTES_MAX) break;
    }
  }
  const [line = ''] = text.split(/\r?\n/);
  if (line !== '' && line.length <= SECRET_BYTES_MAX) return line;
  const accepted = `one line of 1 to ${SECRET_BYTES_MAX} characters`;
  const message = `standard input has ${line.length} characters; accepted: ${accepted}`;
  throw new UpdateError('usage.invalid', message);
}

/**
 * Asks on a terminal and reads a line without echo. Backspace and Ctrl-U correct; Ctrl-C, Ctrl-D
 * and the end of input throw `job.cancelled`.
 */
export async function askSecret(
  question: string,
  input: ReadStream,
  say: (text: string) => void,
): Promise<string> {
  // First no echo, then the question: who answers at once is not seen either.
  input.setRawMode(true);
  say(question);
  try {
    return await readLine(input);
  } finally {
    input.setRawMode(false);
    input.pause();
    say('\n');
  }
}

function readLine(input: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = '';
    const end = (finish: () => void): void => {
      input.off('data', take);
      input.off('end', stop);
      finish();
    };
    const stop = (): void =>
      end(() => reject(new UpdateError('job.cancelled', 'no password was given')));
    const take = (chunk: Buffer): void => {
      const text = chunk.toString('utf8');
      // A key such as an arrow is a sequence that belongs to no password.
      if (text.startsWith('\u001b')) return;
      for (let at = 0; at < text.length; at++) {
        const key = text.charAt(at);
        if (key === '\r' || key === '\n') {
          const rest = text.slice(at + 1).replace(/^\n/, '');
          end(() => resolve(line));
          if (rest !== '') input.unshift(Buffer.from(rest));
          return;
        }
        if (key === '\u0003' || key === '\u0004') return stop();
        if (key === '\u007f' || key === '\b') line = line.slice(0, -1);
        else if (key === '\u0015') line = '';
        else if (key >= ' ' && line.length < SECRET_BYTES_MAX) line += key;
      }
    };
    input.on('data', take);
    input.once('end', stop);
    input.resume();
  });
}
