/**
 * Makes an update bundle from a spec file, as a build server does: `node scripts/make-bundle.ts
 * SPEC --out FILE [--base BUNDLE] [--key KEY ...] [--level N]`. Always holds: it is the same maker
 * as `tandem bundle make`, and without keys the bundle is unsigned, for a signer elsewhere. Imports
 * core and bundle.
 */
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBundle } from '../src/bundle/builder.ts';
import { loadSigningKey } from '../src/bundle/keys.ts';
import { loadSpec } from '../src/bundle/spec.ts';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';

const USAGE = `Usage: node scripts/make-bundle.ts SPEC --out FILE [--base BUNDLE] [--key KEY ...]
         [--level N]

  SPEC     what the bundle says, JSON with comments (docs/bundle.md, B7.1); image files are named
           in it, relative to its folder
  --key    private key that signs, a PEM file; may be given more than once
  --base   full bundle of the release before: makes a delta bundle that updates from exactly it
  --level  zstd level, 1 to 22

Example: node scripts/make-bundle.ts build/release.jsonc --out build/update.bin --key keys/a.key
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      key: { type: 'string', multiple: true, default: [] },
      level: { type: 'string' },
      base: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [specFile] = positionals;
  if (values.help || specFile === undefined || values.out === undefined) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const spec = await loadSpec(specFile);
  const images: Record<string, string> = {};
  for (const { name, file } of spec.images) {
    if (file === undefined) {
      throw new UpdateError('usage.invalid', `${specFile}: image ${name} names no file`);
    }
    images[name] = resolve(dirname(specFile), file);
  }
  const keys = await Promise.all(values.key.map(async (path) => loadSigningKey(path)));
  const level = values.level === undefined ? {} : { level: Number(values.level) };
  const base = values.base === undefined ? {} : { base: values.base };
  const made = await makeBundle(spec, images, resolve(values.out), { keys, ...level, ...base });
  console.log(`${values.out}  ${String(made.sizeBytes)} bytes  ${made.bundle}`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  process.exitCode = failure.exit;
}
