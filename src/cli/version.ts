/**
 * The version of this program, from the package file: inlined when the program is bundled, so that
 * it cannot differ from what runs. Imports package.json alone.
 */
import manifest from '../../package.json' with { type: 'json' };

/** Semver of this program. */
export const VERSION: string = manifest.version;
