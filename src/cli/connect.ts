/**
 * The way of a console to its daemon: the control socket for who is permitted on it, the console
 * socket with its login for everybody else. Always holds: the choice is made by the rights of the
 * user and by what was asked for, never by whether a login would succeed. Imports core and the
 * control client.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ControlClient } from '../control/client.ts';
import { flag, socketPaths, text } from './values.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** The option of the verb that opens a console. */
export const LOGIN_OPTION = {
  login: {
    type: 'boolean',
    help: 'Ask for a login, also where the user may use the control socket.',
  },
} as const satisfies Record<string, VerbOption>;

/** A client, and whether it has to log in before anything else. */
export interface ConsoleConnection {
  readonly client: ControlClient;
  readonly login: boolean;
}

/**
 * The client of a console. It has to log in with `--login`, as a login shell (`argv0` then begins
 * with a hyphen, login(1)), with `--serial`, since whoever sits at that port is not the user that
 * this process runs as, and where this user may not use the control socket.
 */
export async function connectConsole(
  values: VerbValues,
  io: CliIo,
  argv0: string = process.argv0,
): Promise<ConsoleConnection> {
  const { control, console } = await socketPaths(values, io);
  const asked = flag(values, 'login') || text(values, 'serial') !== undefined;
  const login = asked || argv0.startsWith('-') || !(await mayUse(control));
  const caller = io.env['USER'];
  return { client: new ControlClient(login ? console : control, { caller }), login };
}

/**
 * Whether this user may connect to the control socket. While there is none, because the daemon is
 * not up yet, the one counts who could make it.
 */
async function mayUse(path: string): Promise<boolean> {
  const { R_OK, W_OK } = constants;
  try {
    await access(path, R_OK | W_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
  }
  return access(dirname(path), W_OK).then(
    () => true,
    () => false,
  );
}
