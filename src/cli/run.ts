/**
 * Runs one command line and returns its exit status. Always holds: with `--json` standard output
 * carries JSON only, an error too; without it a failure is a sentence, the next action and the code
 * on standard error; never a stack. Imports core and the table; used by main.ts and by tests.
 */
import { EXIT } from '../core/codes.ts';
import { asUpdateError, type UpdateError } from '../core/errors.ts';
import { helpText } from './help.ts';
import { parseCommand } from './parse.ts';
import type { CliIo } from './verb.ts';
import { VERSION } from './version.ts';

/** The words behind the program's name, run to their end. Never throws. */
export async function runCommand(argv: readonly string[], io: CliIo): Promise<number> {
  let json = argv.includes('--json');
  try {
    const command = await parseCommand(argv);
    if (command.kind === 'version') {
      io.out(json ? `${JSON.stringify({ version: VERSION })}\n` : `${VERSION}\n`);
      return EXIT.done;
    }
    if (command.kind === 'help') {
      io.out(await helpText(command.topic));
      return EXIT.done;
    }
    json = command.values['json'] === true;
    return await command.verb.run(command.args, command.values, io);
  } catch (error) {
    return reportError(asUpdateError(error), json, io);
  }
}

/**
 * Prints a failure in the form that was asked for and returns its exit status. The stack of a bug
 * is printed only with TANDEM_DEBUG set.
 */
export function reportError(error: UpdateError, json: boolean, io: CliIo): number {
  const report = error.report();
  if (json) io.out(`${JSON.stringify({ error: report, exit: error.exit })}\n`);
  io.err(`tandem: ${report.message}\n`);
  const { problems } = report.detail ?? {};
  if (Array.isArray(problems) && problems.length > 1) {
    for (const problem of problems.slice(1)) io.err(`        ${problem}\n`);
  }
  io.err(`Next: ${report.next}\n(${report.code}, exit ${error.exit})\n`);
  const cause = error.cause instanceof Error ? error.cause : error;
  if (report.code === 'internal.bug' && io.env['TANDEM_DEBUG']) io.err(`${cause.stack}\n`);
  return error.exit;
}
