/**
 * Part of a build: JSON Schema checks that a program needs at every start are made into functions
 * when it is built, instead of by ajv in each process (a third of the daemon's start). Always
 * holds: the same ajv with the same options writes the functions; a schema or an option that
 * differs from the list here is compiled when it is met, as from source, so nothing but time
 * depends on the list. Imports config, bundle, ajv and esbuild's types.
 */
import { Ajv, type Options } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { Plugin } from 'esbuild';
import { createHash } from 'node:crypto';
import { headSchema } from '../src/bundle/manifest.ts';
import { manifestSchema } from '../src/bundle/manifest-schema.ts';
import { SCHEMA_OPTIONS } from '../src/bundle/schema.ts';
import { listSchema } from '../src/bundle/signature.ts';
import { rootSchema } from '../src/bundle/trust.ts';
import { CONFIG_CHECK_OPTIONS, CONFIG_WORDS } from '../src/config-check.ts';
import { CONFIG_SCHEMA } from '../src/config-schema.ts';

/** A schema with the options that it is read with. */
interface Check {
  readonly options: Options;
  readonly words: readonly string[];
  readonly schema: object;
}

const CHECKS: readonly Check[] = [
  { options: CONFIG_CHECK_OPTIONS, words: CONFIG_WORDS, schema: CONFIG_SCHEMA },
  ...[rootSchema, headSchema, manifestSchema, listSchema].map((schema) => {
    return { options: SCHEMA_OPTIONS, words: [], schema };
  }),
];

/** Stands for a check in the program; the same lines are in the module that takes ajv's place. */
function keyOf({ options, words, schema }: Check): string {
  const text = JSON.stringify([options, words, schema]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The function of a check as the text of a CommonJS module. */
function moduleOf({ options, words, schema }: Check): string {
  const ajv = new Ajv({ ...options, code: { source: true, esm: false } });
  ajv.addVocabulary([...words]);
  return standalone.default(ajv, ajv.compile(schema));
}

/** What takes the place of ajv: as much of its class as the program uses. */
function standIn(keys: readonly string[]): string {
  const rows = keys.map((key) => `'${key}': () => require('precompiled:${key}')`);
  return `
import { createHash } from 'node:crypto';
const made = { ${rows.join(', ')} };
/** As much of the class as the program uses. */
export class Ajv {
  errors = null;
  #words = [];
  #options;
  #ajv;
  constructor(options) {
    this.#options = options;
  }
  addVocabulary(words) {
    this.#words.push(...words);
  }
  compile(schema) {
    const text = JSON.stringify([this.#options, this.#words, schema]);
    const key = createHash('sha256').update(text).digest('hex').slice(0, 16);
    if (Object.hasOwn(made, key)) return made[key]();
    if (this.#ajv === undefined) {
      this.#ajv = new (require('ajv').Ajv)(this.#options);
      this.#ajv.addVocabulary(this.#words);
    }
    return this.#ajv.compile(schema);
  }
  validate(schema, value) {
    const check = this.compile(schema);
    const good = check(value);
    this.errors = check.errors;
    return good;
  }
}
`;
}

const NAMESPACE = 'precompiled';
/** The package with a name that can be asked for, as a part of its own. */
const WHOLE = "import * as all from 'ajv';\nexport const { Ajv } = all;\n";

/** An entry of a build: the package itself, for what is not in the list. */
export const AJV_ENTRY = 'ajv:whole';

/**
 * The plugin of the build; `projectDir` is where the packages of the functions are found. The
 * package itself comes along, unless it is a part of its own that is loaded by the name `apart`.
 */
export function precompiledChecks(projectDir: string, apart: string | null): Plugin {
  return {
    name: NAMESPACE,
    setup(builder) {
      const checks = new Map(CHECKS.map((check) => [keyOf(check), check]));
      builder.onResolve({ filter: /^ajv$/ }, ({ namespace, importer }) => {
        if (namespace !== NAMESPACE) return { path: 'ajv', namespace: NAMESPACE };
        const isWhole = apart === null || importer === AJV_ENTRY;
        return isWhole ? undefined : { path: apart, external: true };
      });
      builder.onResolve({ filter: new RegExp(`^${AJV_ENTRY}$`) }, ({ path }) => {
        return { path, namespace: NAMESPACE };
      });
      builder.onResolve({ filter: /^precompiled:/ }, ({ path }) => {
        return { path: path.slice(NAMESPACE.length + 1), namespace: NAMESPACE };
      });
      builder.onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => {
        const check = checks.get(path);
        const other = path === AJV_ENTRY ? WHOLE : standIn([...checks.keys()]);
        const contents = check === undefined ? other : moduleOf(check);
        return { contents, resolveDir: projectDir };
      });
    },
  };
}
