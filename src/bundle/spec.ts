/**
 * What a maker writes about a bundle, docs/bundle.md B7.1, and the file it may be in (JSON with
 * comments). Always holds: a checked spec would make a manifest that the reader accepts, and an
 * error names the place. Imports core.
 */
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { UpdateError } from '../core/errors.ts';
import type { JsonRole } from './json.ts';
import { MANIFEST_BYTES_MAX } from './limits.ts';
import { checkDecided, type DecidedManifest, type ImageSpec } from './manifest.ts';
import { specSchema } from './manifest-schema.ts';
import { checkOf } from './schema.ts';
import { readSmallFile } from './source.ts';

/** Everything about a bundle that is decided and not computed. */
export type BundleSpec = Omit<DecidedManifest, 'images'> & {
  /** Power of two from 64 KiB to 4 MiB; 1 MiB when it is absent. */
  readonly chunkBytes?: number;
  readonly images: readonly (ImageSpec & {
    /** Raw image, relative to the spec file; only where the spec comes from a file. */
    readonly file?: string;
  })[];
};

/** A spec that passed every check; without the files. */
export type CheckedSpec = DecidedManifest & { readonly chunkBytes?: number };

const ROLE: JsonRole = { code: 'bundle.invalid_input', what: 'the spec' };
const checkSchema = checkOf(specSchema);

/** An input that cannot become a bundle; `found` completes the sentence. */
export function invalidInput(found: string): UpdateError {
  return new UpdateError('bundle.invalid_input', `found ${found}`, { detail: { found } });
}

/** Spec that would make an acceptable manifest. Throws `bundle.invalid_input`. */
export function checkSpec(spec: BundleSpec): CheckedSpec {
  checkSchema(spec, ROLE);
  const images = spec.images.map(({ file: _file, ...image }) => image);
  const checked = { ...spec, images };
  const { chunkBytes } = checked;
  if (chunkBytes !== undefined && (chunkBytes & (chunkBytes - 1)) !== 0) {
    throw invalidInput(`chunkBytes ${chunkBytes}, expected a power of two`);
  }
  try {
    checkDecided(checked);
  } catch (cause) {
    if (!(cause instanceof UpdateError)) throw cause;
    const detail = cause.detail === undefined ? {} : { detail: cause.detail };
    throw new UpdateError('bundle.invalid_input', cause.message, { cause, ...detail });
  }
  return checked;
}

/**
 * Spec from a file in JSON with comments. Throws `file.*`, and `bundle.invalid_input` with the line
 * of a syntax error.
 */
export async function loadSpec(path: string): Promise<BundleSpec> {
  const text = new TextDecoder().decode(await readSmallFile(path, MANIFEST_BYTES_MAX));
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (first !== undefined) {
    const line = text.slice(0, first.offset).split('\n').length;
    const why = printParseErrorCode(first.error);
    throw new UpdateError('bundle.invalid_input', `${path}, line ${line}: ${why}`, {
      detail: { path, line },
    });
  }
  return checkSchema(value, { ...ROLE, what: path }) as unknown as BundleSpec;
}
