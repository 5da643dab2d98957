/**
 * `npm run docs`: writes the parts of README.md and of the pages in docs that the code knows best:
 * verbs, exit statuses, settings, what to do when, a line per source file; and as whole files the
 * description of the API, the man page and the completions. Always holds: only what
 * stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->` changes; a test compares, so docs
 * and code cannot drift apart. Imports core, configuration and the table of verbs.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { completionFor } from '../src/cli/completion.ts';
import { allVerbs } from '../src/cli/table.ts';
import { openApi } from '../src/control/openapi.ts';
import { CONFIG_SCHEMA } from '../src/config-schema.ts';
import { CODES, EXIT } from '../src/core/codes.ts';
import { EXIT_WORDS } from '../src/core/exit.ts';
import { manPage } from './docs-man.ts';
import { RECOVERY_PARTS, wrapped } from './docs-recovery.ts';
import { peersPart, readRuns } from './measure/peer-record.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COLUMNS = 100;
/** Pages with generated parts, relative to the root. */
export const PAGES: readonly string[] = ['README.md', 'docs/ARCHITECTURE.md', 'docs/recovery.md'];

/** One entry of a list, wrapped. */
const item = (text: string): string => wrapped('-', text, '  ');

function exitStatuses(withCodes: boolean): string {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  const entries = names.map((name) => {
    const words = `**${EXIT[name]}** ${EXIT_WORDS[name]}`;
    const codes = Object.entries(CODES).filter(([, { exit }]) => exit === EXIT[name]);
    if (!withCodes || codes.length === 0) return item(words);
    return item(`${words}: ${codes.map(([code]) => `\`${code}\``).join(', ')}`);
  });
  return entries.join('\n');
}

async function verbs(): Promise<string> {
  const entries = (await allVerbs()).map(({ name, args, summary }) =>
    item(`\`${['tandem', name, args].filter((word) => word !== '').join(' ')}\`: ${summary}`),
  );
  return entries.join('\n');
}

/** What this file needs of a JSON Schema. */
interface Setting {
  readonly description: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly derived?: string;
  readonly properties?: Readonly<Record<string, Setting>>;
}

function settingsBelow(prefix: string, properties: Readonly<Record<string, Setting>>): string[] {
  return Object.entries(properties).flatMap(([key, setting]) => {
    const name = `${prefix}${key}`;
    if (setting.properties !== undefined) return settingsBelow(`${name}.`, setting.properties);
    const fallback =
      setting.derived ??
      (setting.default === undefined ? undefined : JSON.stringify(setting.default));
    const choice = setting.enum === undefined ? '' : ` One of ${setting.enum.join(', ')}.`;
    const rest = fallback === undefined ? 'Required.' : `Default \`${fallback}\`.`;
    return [item(`\`${name}\`: ${setting.description}${choice} ${rest}`)];
  });
}

/** The first sentence of a file's head, which says what the file is. */
export function firstSentence(source: string): string | null {
  const head = /^(?:#![^\n]*\n)?\/\*\*\s(.*?)\*\//s.exec(source)?.[1];
  if (head === undefined) return null;
  const text = head
    .replaceAll(/^ \* ?/gm, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return /^.*?(?<!\be\.g|\bi\.e)\.(?= |$)/.exec(text)?.[0] ?? text;
}

/** Every source file below `src` and `console`, relative to the root, by room and name. */
export async function sourceFiles(): Promise<readonly string[]> {
  const found = await Promise.all(
    ['src', 'console'].map(async (folder) => {
      const entries = await readdir(ROOT + folder, { recursive: true });
      return entries.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
    }),
  );
  return found.flat().toSorted((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1));
}

const depth = (path: string): number => path.split('/').length;

async function files(): Promise<string> {
  const parts: string[] = [];
  let room = '';
  for (const path of await sourceFiles()) {
    const folder = path.slice(0, path.lastIndexOf('/'));
    if (folder !== room) parts.push('', `### ${folder}`, '');
    room = folder;
    const sentence = firstSentence(await readFile(ROOT + path, 'utf8')) ?? 'No head.';
    parts.push(item(`\`${path.slice(folder.length + 1)}\`: ${sentence}`));
  }
  return parts.join('\n').trim();
}

const PARTS: Readonly<Record<string, () => Promise<string> | string>> = {
  verbs,
  files,
  statuses: () => exitStatuses(false),
  'exit-statuses': () => exitStatuses(true),
  peers: async () => peersPart(await readRuns()),
  settings: () => settingsBelow('', CONFIG_SCHEMA.properties).join('\n'),
  ...RECOVERY_PARTS,
};

/** The page with its generated parts made anew. Throws for a part that nobody makes. */
export async function renderPage(path: string): Promise<string> {
  let text = await readFile(ROOT + path, 'utf8');
  const names = [...text.matchAll(/<!-- begin: ([a-z-]+) -->/g)].map((match) => match[1] ?? '');
  for (const name of names) {
    const make = PARTS[name];
    if (make === undefined) throw new Error(`${path}: nothing makes the part ${name}`);
    const [begin, end] = [`<!-- begin: ${name} -->`, `<!-- end: ${name} -->`];
    const from = text.indexOf(begin) + begin.length;
    const to = text.indexOf(end, from);
    if (to < 0) throw new Error(`${path}: the part ${name} has no end`);
    text = `${text.slice(0, from)}\n\n${await make()}\n\n${text.slice(to)}`;
  }
  return format(text, { parser: 'markdown', printWidth: COLUMNS, singleQuote: true });
}

/** Files that are made as a whole, relative to the root. */
export const MADE: Readonly<Record<string, () => Promise<string>>> = {
  'docs/openapi.json': () =>
    format(JSON.stringify(openApi()), { parser: 'json', printWidth: COLUMNS }),
  'docs/tandem.1': manPage,
  'docs/completion/tandem.bash': () => completionFor('bash'),
  'docs/completion/_tandem': () => completionFor('zsh'),
  'docs/completion/tandem.fish': () => completionFor('fish'),
};

if (import.meta.main) {
  for (const [path, make] of Object.entries(MADE)) {
    const text = await make();
    const changed = text !== (await readFile(ROOT + path, 'utf8').catch(() => null));
    if (changed) {
      await mkdir(dirname(ROOT + path), { recursive: true });
      await writeFile(ROOT + path, text);
    }
    console.log(`${path}: ${changed ? 'updated' : 'up to date'}`);
  }
  for (const page of PAGES) {
    const text = await renderPage(page);
    const changed = text !== (await readFile(ROOT + page, 'utf8'));
    if (changed) await writeFile(ROOT + page, text);
    console.log(`${page}: ${changed ? 'updated' : 'up to date'}`);
  }
}
