/**
 * Command line that makes the Debian package of the program: `npm run package -- --help`. Always
 * holds: the program was built and started once before it is packed; the same source gives the
 * same file. Imports core and scripts/package.
 */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError } from '../src/core/errors.ts';
import { BUILD_DIR, buildProgram, type Programs } from './build.ts';
import { runtimeBinary } from './image/runtime.ts';
import { packageTree } from './package/contents.ts';
import { makeDeb, type Effort } from './package/deb.ts';
import {
  architecture,
  debianVersion,
  maintainer,
  NOBODY,
  PACKAGE,
  sourceDateS,
} from './package/version.ts';

const USAGE = `Usage: npm run package -- [--maintainer WHO] [--out DIR] [--version V] [--quick]

  --maintainer WHO  "NAME <MAIL>" of who answers for it; default DEBFULLNAME and DEBEMAIL
  --out DIR         where the package goes; default build/package
  --version V       its Debian version; default that of package.json
  --quick           a larger file in less time

SOURCE_DATE_EPOCH sets the time of its files; default that of the last commit.
Example: npm run package -- --maintainer "Ada Example <ada@example.org>"
`;

const NOTE = `Nobody answers for this package: its maintainer is ${NOBODY}.
That will do for a test. For one that is given away say --maintainer "NAME <MAIL>", or set
DEBFULLNAME and DEBEMAIL.
`;

/** What is asked for. */
export interface PackageRequest {
  readonly outDir?: string;
  readonly version?: string;
  /** Name and address; default that of nobody, for a package that is thrown away. */
  readonly maintainer?: string;
  readonly effort?: Effort;
}

/** Makes the package of these programs and returns its path. Throws what its parts throw. */
export async function makePackage(
  { tandem: program }: Pick<Programs, 'tandem'>,
  request: PackageRequest = {},
): Promise<string> {
  const { outDir = join(BUILD_DIR, 'package'), effort = 'release' } = request;
  const { maintainer: who = NOBODY } = request;
  const version = debianVersion(request.version);
  const words = { version, maintainer: who, dateS: await sourceDateS() };
  const node = await runtimeBinary(BUILD_DIR);
  const tree = await packageTree({ program, node, ...words });
  const out = join(outDir, `${PACKAGE}_${version}_${architecture()}.deb`);
  await makeDeb({ tree, effort, ...words }, out);
  return out;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      maintainer: { type: 'string' },
      out: { type: 'string' },
      version: { type: 'string' },
      quick: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const who = maintainer(values.maintainer);
  if (who === NOBODY) process.stderr.write(NOTE);
  const file = await makePackage(await buildProgram(BUILD_DIR), {
    ...(values.out === undefined ? {} : { outDir: resolve(values.out) }),
    ...(values.version === undefined ? {} : { version: values.version }),
    maintainer: who,
    effort: values.quick === true ? 'quick' : 'release',
  });
  const mib = ((await stat(file)).size / 1024 / 1024).toFixed(1);
  process.stdout.write(`${file}  ${mib} MiB\n`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (cause) {
    const error = asUpdateError(cause);
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exit;
  }
}
