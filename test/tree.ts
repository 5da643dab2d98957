/**
 * Reads the source tree for the tests that check it: files, imports, rooms, exports. Textual on
 * purpose, a second look that shares nothing with the linter. Imports node: only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Made by tools, never by hand. */
const NOT_OURS = new Set(['node_modules', '.git', '.tap', 'build', 'package-lock.json']);
/** Images of slots and other large things are no source. */
const TEXT = /\.(ts|mjs|js|json|md|sh|html|css|yml)$|^[^.]+$|^\.[a-z]+(rc|ignore)?(\.json)?$/;

export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

function walk(folder: string): readonly string[] {
  return readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) return walk(`${path}/`);
    return entry.isFile() && TEXT.test(entry.name) ? [path] : [];
  });
}

/** Every text file of the project. */
export const FILES: readonly SourceFile[] = walk('')
  .map((path) => ({ path, text: readFileSync(ROOT + path, 'utf8') }))
  .toSorted((a, b) => (a.path < b.path ? -1 : 1));

/** The TypeScript among them. */
export const SOURCES = FILES.filter(({ path }) => path.endsWith('.ts'));

/** A file by its path; throws for one that is not there. */
export function file(path: string): SourceFile {
  const found = FILES.find((one) => one.path === path);
  if (found === undefined) throw new Error(`${path} is missing`);
  return found;
}

/** Files of the project that a file imports, statically, lazily or as the entry of a worker. */
export function importsOf({ path, text }: SourceFile): readonly string[] {
  const patterns = [
    /\b(?:from|import)\s+'(\.[^']+)'/g,
    /\bimport\(\s*'(\.[^']+)'/g,
    /\bnew URL\('(\.[^']+\.ts)', import\.meta\.url\)/g,
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) =>
      posix.join(posix.dirname(path), match[1] ?? '').replace(/^\.\//, ''),
    ),
  );
}

/** Source files whose path a script has in a string: entries of programs that it builds or runs. */
export function namedIn({ text }: SourceFile): readonly string[] {
  const words = [...text.matchAll(/['"`]([\w./${}-]*\.(?:ts|mjs))['"`]/g)].map((m) => m[1] ?? '');
  return SOURCES.map(({ path }) => path).filter((path) =>
    words.some((word) => word.endsWith(path)),
  );
}

/** The room of a file: see the table in docs/ARCHITECTURE.md. */
export function roomOf(path: string): string {
  const inSrc = /^src\/([a-z]+)/.exec(path)?.[1];
  return inSrc ?? path.split('/')[0] ?? path;
}

/** Exports of a file that no doc comment stands before. */
export function undocumented({ text }: SourceFile): readonly string[] {
  const lines = text.split('\n');
  const seen = new Set<string>();
  return lines.flatMap((line, i) => {
    const match = /^export (?:async )?(?:function\*?|class|const|type|interface) (\w+)/.exec(line);
    const name = match?.[1];
    if (name === undefined || seen.has(name)) return [];
    seen.add(name);
    return (lines[i - 1] ?? '').trimEnd().endsWith('*/') ? [] : [name];
  });
}
