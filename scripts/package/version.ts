/**
 * Names, versions and dates of the Debian package. Always holds: the same source gives the same
 * words; the date is that of the source, never that of the build. Imports core and the program's
 * own version.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { UpdateError } from '../../src/core/errors.ts';
import { VERSION } from '../../src/cli/version.ts';
import { PROJECT_DIR } from '../build.ts';

const run = promisify(execFile);

/** Name of the package. */
export const PACKAGE = 'tandem';
/** Stands for nobody, in packages that are thrown away: no mail ever gets there (RFC 6761). */
export const NOBODY = 'Tandem maintainers <maintainers@tandem.invalid>';
/** A name and one address. Source: Debian Policy 5.6.2. */
const MAINTAINER = /^[^\s<>,"][^<>,"\p{Cc}]{0,98}[^\s<>,"] <[^\s<>,"@]{1,64}@[^\s<>,"@]{1,190}>$/u;
/** Where no commit tells a date: 2026-01-01T00:00:00Z. */
const EPOCH_S = 1_767_225_600;
/** Source: Debian Policy 5.6.12, for a package without a revision. */
const DEBIAN_VERSION = /^[0-9][A-Za-z0-9.+~]{0,99}$/;

/** Debian's name of an architecture of Node. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Debian's name of this machine's architecture; throws `usage.invalid` where there is no Node. */
export function architecture(arch: string = process.arch): string {
  const name = ARCHITECTURES[arch];
  if (name !== undefined) return name;
  throw new UpdateError('usage.invalid', `there is no Debian package for ${arch}`);
}

/**
 * The Debian version of a semver: what comes before a release sorts before it. Throws
 * `usage.invalid` for what is no version.
 */
export function debianVersion(version: string = VERSION): string {
  const debian = version.replace('-', '~').replaceAll('-', '.');
  if (DEBIAN_VERSION.test(debian)) return debian;
  throw new UpdateError('usage.invalid', `${version} is no version of a Debian package`);
}

/**
 * Who answers for the package: the one that is given, else DEBFULLNAME and DEBEMAIL as Debian's own
 * tools take them (debchange(1)), else `NOBODY`. Throws `usage.invalid` for half of that, and for
 * what is no name with an address.
 */
export function maintainer(given?: string, env: NodeJS.ProcessEnv = process.env): string {
  const { DEBFULLNAME: name = '', DEBEMAIL: mail = '' } = env;
  if (given === undefined && name === '' && mail === '') return NOBODY;
  const whole = given ?? (mail.endsWith('>') ? mail : `${name} <${mail}>`);
  if (MAINTAINER.test(whole)) return whole;
  const from = given === undefined ? 'DEBFULLNAME and DEBEMAIL say' : '--maintainer is';
  throw new UpdateError('usage.invalid', `${from} "${whole}", expected "Name <mail@example.org>"`);
}

/**
 * Seconds since 1970 that every file of the package has: SOURCE_DATE_EPOCH, else the time of the
 * last commit. Source: reproducible-builds.org.
 */
export async function sourceDateS(env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const given = env['SOURCE_DATE_EPOCH'];
  if (given !== undefined && given !== '') {
    if (/^\d{1,11}$/.test(given)) return Number(given);
    throw new UpdateError('usage.invalid', `SOURCE_DATE_EPOCH is "${given}", expected seconds`);
  }
  try {
    const { stdout } = await run('git', ['log', '-1', '--format=%ct'], { cwd: PROJECT_DIR });
    return Number(stdout.trim()) || EPOCH_S;
  } catch {
    return EPOCH_S;
  }
}

/** The date as a Debian changelog has it, in UTC. */
export function changelogDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString().replace('GMT', '+0000');
}
