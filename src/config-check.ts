/**
 * From the text of the configuration file to a checked value: JSON with comments, then the schema.
 * Always holds: every problem names file, line, setting, what was found and what is accepted; a
 * setting that is not known, or given twice, is a problem and never ignored. Imports core, the
 * schema and two packages, of which ajv is loaded only here and only when a file is checked.
 */
import { parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser';
import type { ErrorObject } from 'ajv';
import { acceptedValues, CONFIG_SCHEMA, settingSchema } from './config-schema.ts';
import { UpdateError } from './core/errors.ts';
import { nearestName } from './core/nearest.ts';

/** One thing that is wrong in a configuration file. */
export interface ConfigProblem {
  /** From 1. */
  readonly line: number;
  /** Dotted name, e.g. `policy.order`; empty for the file as a whole. */
  readonly setting: string;
  readonly found: string;
  readonly accepted: string;
  /** The sentence without the file and line. */
  readonly text: string;
}

/** The parsed file: its value with defaults filled in, and the line of each setting. */
export interface CheckedConfig {
  readonly value: Readonly<Record<string, unknown>>;
  readonly lineOf: (setting: string) => number;
}

/** How the schema is read: all problems with what was found, and defaults are filled in. */
export const CONFIG_CHECK_OPTIONS = { allErrors: true, verbose: true, useDefaults: true } as const;
/** Words of the schema that are for people. */
export const CONFIG_WORDS = ['example', 'derived'] as const;

/** Problems beyond this number are not listed. */
const PROBLEMS_MAX = 20;
/** Sections nest one level deep; more brackets than this are refused before they are read. */
const DEPTH_MAX = 64;
const FOUND_LENGTH_MAX = 60;

/**
 * Parses and checks the text of a configuration file. Throws `config.invalid` with every problem
 * that was found; `file` is only named in the sentences.
 */
export async function checkConfig(text: string, file: string): Promise<CheckedConfig> {
  const source = text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text;
  const lines = new LineIndex(source);
  const root = parseRoot(source, lines, file);
  const offsets = new Map<string, number>([['', root.offset]]);
  const twice: ConfigProblem[] = [];
  const value = valueOf(root, '', offsets, (setting, offset) => {
    const line = lines.at(offset);
    const accepted = 'each setting once';
    const first = lines.at(offsets.get(setting)!);
    const text = `${setting} is given twice; the first is in line ${first}`;
    twice.push({ line, setting, found: 'given twice', accepted, text });
  });
  const lineOf = (setting: string): number => {
    for (let name = setting; ; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
      const offset = offsets.get(name);
      if (offset !== undefined) return lines.at(offset);
      if (name === '') return 1;
    }
  };
  const checked = value as Record<string, unknown>;
  const { Ajv } = await import('ajv');
  const ajv = new Ajv(CONFIG_CHECK_OPTIONS);
  ajv.addVocabulary([...CONFIG_WORDS]);
  const good = ajv.validate(CONFIG_SCHEMA, checked);
  const wrong = new Map<string, ConfigProblem>();
  for (const error of good ? [] : (ajv.errors ?? [])) {
    const problem = problemOf(error, lineOf);
    if (!wrong.has(problem.setting)) wrong.set(problem.setting, problem);
  }
  throwProblems([...twice, ...wrong.values()], file);
  return { value: checked, lineOf };
}

/** What lacks comes last: it is often a mistyped setting, which is a problem of its own. */
const rank = (problem: ConfigProblem): number => (problem.found === MISSING ? 1 : 0);
const MISSING = 'missing';

/** Throws `config.invalid` for the problems, first line first; nothing when there are none. */
export function throwProblems(problems: readonly ConfigProblem[], file: string): void {
  const sorted = problems.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line);
  const first = sorted[0];
  if (first === undefined) return;
  const sentence = (p: ConfigProblem): string => `${file}:${p.line}: ${p.text}`;
  const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : '';
  throw new UpdateError('config.invalid', sentence(first) + more, {
    detail: {
      file,
      line: first.line,
      setting: first.setting,
      found: first.found,
      accepted: first.accepted,
      problems: sorted.slice(0, PROBLEMS_MAX).map(sentence),
    },
  });
}

function parseRoot(source: string, lines: LineIndex, file: string): Node {
  const errors: ParseError[] = [];
  const problem = (offset: number, found: string, accepted: string): ConfigProblem => {
    const text = `${found}; accepted: ${accepted}`;
    return { line: lines.at(offset), setting: '', found, accepted, text };
  };
  const root = depthOf(source) > DEPTH_MAX ? undefined : parseTree(source, errors, PARSE_OPTIONS);
  const error = errors[0];
  if (error) {
    const word = printParseErrorCode(error.error).replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ');
    const found = `not valid JSON here: ${word.toLowerCase()}`;
    throwProblems([problem(error.offset, found, 'JSON with comments')], file);
  }
  if (root?.type !== 'object') {
    const found = root === undefined ? 'no settings, or nested too deeply' : `a ${root.type}`;
    throwProblems([problem(root?.offset ?? 0, `found ${found}`, 'one object { ... }')], file);
  }
  return root!;
}

const PARSE_OPTIONS = { allowTrailingComma: true } as const;

/** Upper bound of the nesting, so that the recursive parser is never given a bomb. */
function depthOf(source: string): number {
  let depth = 0;
  let deepest = 0;
  for (const char of source) {
    if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

/** The plain value of a syntax node; notes where each setting stands and those given twice. */
function valueOf(
  node: Node,
  name: string,
  offsets: Map<string, number>,
  onTwice: (setting: string, offset: number) => void,
): unknown {
  if (node.type === 'array') {
    return (node.children ?? []).map((child) => valueOf(child, name, new Map(), () => {}));
  }
  if (node.type !== 'object') return node.value as unknown;
  const value: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const property of node.children ?? []) {
    const [key, child] = property.children ?? [];
    if (key === undefined || child === undefined) continue;
    const setting = name === '' ? String(key.value) : `${name}.${String(key.value)}`;
    if (offsets.has(setting)) {
      onTwice(setting, key.offset);
      continue;
    }
    offsets.set(setting, key.offset);
    value[String(key.value)] = valueOf(child, setting, offsets, onTwice);
  }
  return value;
}

function problemOf(error: ErrorObject, lineOf: (setting: string) => number): ConfigProblem {
  const setting = error.instancePath.slice(1).replaceAll('/', '.');
  const inside = (name: string): string => (setting === '' ? name : `${setting}.${name}`);
  if (error.keyword === 'additionalProperties') {
    const name = inside(String(error.params['additionalProperty']));
    const known = Object.keys(settingSchema(setting)?.properties ?? {}).map(inside);
    const near = nearestName(name, known);
    const accepted = near ?? known.join(', ');
    const hint = near === null ? `accepted: ${accepted}` : `did you mean ${near}?`;
    const text = `${name} is not a setting; ${hint}`;
    return { line: lineOf(name), setting: name, found: 'unknown setting', accepted, text };
  }
  const missing = error.keyword === 'required';
  const name = missing ? inside(String(error.params['missingProperty'])) : setting;
  const schema = settingSchema(name);
  const accepted = schema === undefined ? 'see tandem config example' : acceptedValues(schema);
  const found = missing ? MISSING : shown(error.data);
  const text = `${name} is ${found}; accepted: ${accepted}`;
  return { line: lineOf(name), setting: name, found, accepted, text };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX)}...` : text;
}

/** Line numbers of offsets, from 1. */
class LineIndex {
  readonly #starts: readonly number[];

  constructor(text: string) {
    const starts = [0];
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#starts = starts;
  }

  at(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }
}
