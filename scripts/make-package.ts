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
import { architecture, debianVersion, PACKAGE, sourceDateS } from './package/version.ts';

const USAGE = `Usage: npm run package -- [--out DIR] [--version V] [--quick]

  --out DIR    where the package goes; default build/package
  --version V  its Debian version; default that of package.json
  --quick      a larger file in less time

SOURCE_DATE_EPOCH sets the time of its files; default that of the last commit.
Example: npm run package
`;

/** What is asked for. */
export interface PackageRequest {
  readonly outDir?: string;
  readonly version?: string;
  readonly effort?: Effort;
}

/** Makes the package of these programs and returns its path. Throws what its parts throw. */
export async function makePackage(
  { tandem: program }: Pick<Programs, 'tandem'>,
  request: PackageRequest = {},
): Promise<string> {
  const { outDir = join(BUILD_DIR, 'package'), effort = 'release' } = request;
  const version = debianVersion(request.version);
  const dateS = await sourceDateS();
  const node = await runtimeBinary(BUILD_DIR);
  const tree = await packageTree({ program, node, version, dateS });
  const out = join(outDir, `${PACKAGE}_${version}_${architecture()}.deb`);
  await makeDeb({ tree, version, dateS, effort }, out);
  return out;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
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
  const file = await makePackage(await buildProgram(BUILD_DIR), {
    ...(values.out === undefined ? {} : { outDir: resolve(values.out) }),
    ...(values.version === undefined ? {} : { version: values.version }),
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
