/**
 * Checks the tree itself: heads, sizes, dead modules, imports between rooms, docs that say what the
 * code says, and things that must never be in it. Imports the docs' maker and the tree's reader.
 */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { firstSentence, MADE, PAGES, renderPage } from '../scripts/docs.ts';
import { CODES } from '../src/core/codes.ts';
import { judgeBundle } from '../src/core/policy.ts';
import { MANIFEST, VIEW } from './core/policy-cases.ts';
import { FILES, file, importsOf, namedIn, roomOf, SOURCES, undocumented } from './tree.ts';

const LINES_MAX = 400;
const COLUMNS_MAX = 100;
const ARCHITECTURE = file('docs/ARCHITECTURE.md');
const DOCS = FILES.filter(({ path }) => path.endsWith('.md'));
const PRODUCT = SOURCES.filter(({ path }) => !path.startsWith('test/'));

/** A word that this file may not hold in one piece, since it is checked too. */
const word = (...parts: readonly string[]): string => parts.join('');

t.test('the tree is read', async (t) => {
  t.ok(SOURCES.length > 50);
  t.ok(FILES.some(({ path }) => path === '.ci/run'));
  t.ok(FILES.some(({ path }) => path === '.oxlintrc.json'));
  t.notOk(FILES.some(({ path }) => path.includes('node_modules')));
});

t.test('every file begins with a paragraph that says what it is', async (t) => {
  const without = SOURCES.filter(({ text }) => (firstSentence(text) ?? '').length < 15);
  t.strictSame(
    without.map(({ path }) => path),
    [],
  );
});

t.test('files and lines are short', async (t) => {
  const code = FILES.filter(({ path }) => /\.(ts|mjs|js)$/.test(path));
  const wrong = code.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n');
    const wide = lines.flatMap((line, i) =>
      line.length > COLUMNS_MAX ? [`${path}:${i + 1} has ${line.length} columns`] : [],
    );
    return lines.length > LINES_MAX ? [`${path} has ${lines.length} lines`, ...wide] : wide;
  });
  t.strictSame(wrong, []);
});

t.test('every export has a doc comment', async (t) => {
  const missing = PRODUCT.flatMap((one) => undocumented(one).map((name) => `${one.path}: ${name}`));
  t.strictSame(missing, []);
});

t.test('no module is dead', async (t) => {
  const named = ['package.json', '.ci/run', ...DOCS.map(({ path }) => path)].map(
    (path) => file(path).text,
  );
  const isRoot = (path: string): boolean =>
    path === 'src/main.ts' ||
    // Declares modules of packages; nothing imports it by its path.
    path.endsWith('.d.ts') ||
    path.endsWith('.test.ts') ||
    // Tests that start an emulator or a whole Debian have a command of their own.
    (/\.(qemu|chroot)\.ts$/.test(path) && named.some((text) => text.includes(path))) ||
    (/^scripts\/[^/]+$/.test(path) && named.some((text) => text.includes(path)));
  const queue = SOURCES.filter(({ path }) => isRoot(path) && !path.startsWith('test/'));
  const alive = new Set(queue.map(({ path }) => path));
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    const built = one.path.startsWith('scripts/') ? namedIn(one) : [];
    for (const path of [...importsOf(one), ...built]) {
      const next = SOURCES.find((source) => source.path === path);
      if (next === undefined || alive.has(path)) continue;
      alive.add(path);
      queue.push(next);
    }
  }
  const dead = PRODUCT.filter(({ path }) => !alive.has(path)).map(({ path }) => path);
  t.strictSame(dead, [], 'reachable from src/main.ts or from a script that is named');
  const tests = SOURCES.filter(({ path }) => path.startsWith('test/'));
  const idle = tests.filter(({ path }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const named = new RegExp(`['/]${name.replaceAll('.', '\\.')}'`);
    const used = tests.some((one) => one.path !== path && named.test(one.text));
    return !isRoot(path) && !used;
  });
  t.strictSame(
    idle.map(({ path }) => path),
    [],
    'what is beside the tests is used by one',
  );
});

t.test('every import leads to a file', async (t) => {
  const lost = SOURCES.flatMap((one) =>
    importsOf(one)
      .filter((path) => /\.(ts|mjs|json)$/.test(path) && !FILES.some((f) => f.path === path))
      .map((path) => `${one.path} imports ${path}`),
  );
  t.strictSame(lost, []);
});

/** The arrows that docs/ARCHITECTURE.md prints: room, and what it may import. */
function arrows(): ReadonlyMap<string, readonly string[]> {
  const block = /```rooms\n(.*?)```/s.exec(ARCHITECTURE.text)?.[1] ?? '';
  const rows = block.trim().split('\n');
  return new Map(
    rows.map((row) => {
      const [room = '', targets = ''] = row.split('->');
      return [room.trim(), targets.split(' ').filter((target) => target !== '')];
    }),
  );
}

t.test('rooms import only what the arrows in the docs allow', async (t) => {
  const allowed = arrows();
  const wrong = PRODUCT.flatMap((one) => {
    const room = roomOf(one.path);
    const may = allowed.get(room) ?? [];
    const good = (path: string): boolean =>
      path === 'package.json' ||
      roomOf(path) === room ||
      may.some((target) => target === roomOf(path) || path === `src/${target}.ts`);
    return importsOf(one)
      .filter((path) => !good(path))
      .map((path) => `${one.path} imports ${path}`);
  });
  t.strictSame(wrong, []);
});

t.test('the docs name every room, and no other', async (t) => {
  const rooms = new Set(PRODUCT.map(({ path }) => roomOf(path)));
  t.strictSame([...arrows().keys()].toSorted(), [...rooms].toSorted());
});

t.test('the rule can fail', async (t) => {
  t.equal(roomOf('src/config-schema.ts'), 'config');
  t.equal(roomOf('scripts/demo/ports.ts'), 'scripts');
  t.strictSame(
    importsOf({
      path: 'src/core/x.ts',
      text: `${word('fr', 'om')} '../drivers/y.ts';\n${word('im', 'port')}('./z.ts');`,
    }),
    ['src/drivers/y.ts', 'src/core/z.ts'],
  );
  t.strictSame(
    undocumented({ path: 'x.ts', text: '/** a */\nexport const a = 1;\nexport class B' }),
    ['B'],
  );
});

t.test('generated parts of the docs are up to date (npm run docs)', async (t) => {
  for (const page of PAGES) t.equal(await renderPage(page), file(page).text, page);
  for (const [path, make] of Object.entries(MADE)) {
    t.ok(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8') === (await make()), path);
  }
});

t.test('a section that the code cites exists', async (t) => {
  const headings = new Set([...ARCHITECTURE.text.matchAll(/^#+ (.*)$/gm)].map((match) => match[1]));
  const lost: string[] = [];
  let cited = 0;
  for (const { path, text } of SOURCES) {
    const flat = text.replaceAll(/\n\s*(?:\*|\/\/) ?/g, ' ');
    for (const [, title] of flat.matchAll(/docs\/ARCHITECTURE\.md, "([^"$]+?),?"/g)) {
      cited += 1;
      if (!headings.has(title)) lost.push(`${path} cites ${title}`);
    }
  }
  t.strictSame(lost, []);
  t.ok(cited > 5);
});

t.test('the docs list the checks of a bundle in their order', async (t) => {
  const section = ARCHITECTURE.text.split('## Validation')[1]?.split('\n## ')[0] ?? '';
  const listed = /\n\n(`format`.*?)\.\n/s.exec(section)?.[1] ?? '';
  t.strictSame(
    [...listed.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]),
    judgeBundle(MANIFEST, VIEW).checks.map((check) => check.name),
  );
});

t.test('links in the docs lead to files', async (t) => {
  for (const { path, text } of DOCS) {
    const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      // Pictures are no text, so they are not among the files that are read.
      const known = existsSync(new URL(`../${folder}${target}`, import.meta.url));
      if (!known) t.fail(`${path} links to ${target}`);
    }
  }
  t.ok(DOCS.length >= 3);
});

t.test('every code is used', async (t) => {
  const text = PRODUCT.filter(({ path }) => !path.startsWith('src/core/codes'))
    .map((one) => one.text)
    .join('\n');
  const unused = Object.keys(CODES).filter((code) => !text.includes(`'${code}'`));
  t.strictSame(unused, []);
});

t.test('nothing is in the tree that does not belong there', async (t) => {
  const banned: readonly (readonly [what: string, pattern: RegExp, where?: RegExp])[] = [
    [
      'an open end',
      new RegExp(`\\b(${word('TO', 'DO')}|${word('FIX', 'ME')}|${word('X', 'XX')})\\b`),
    ],
    ['a path of one machine', new RegExp(word('/wo', 'rk/|/ro', 'ot/|/ho', 'me/[a-z]'))],
    ['a package registry', new RegExp(word('registry', '\\.|npm', 'js\\.|yarn', 'pkg'))],
    ['a private key', /BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/=]{20}/],
    ['a test that runs alone', /\b(t\.only|\{ only: true)/, /^test\//],
    ['output past the command line', /\bconsole\.\w+\(/, /^src\/(?!cli\/)/],
    [
      'a rule switched off without a reason',
      /(ox|es)lint-disable(?!.* -- \w)|@ts-(ignore|nocheck)/,
      /^(?!test\/)/,
    ],
  ];
  const found = FILES.flatMap(({ path, text }) =>
    banned.flatMap(([what, pattern, where]) => {
      if (where !== undefined && !where.test(path)) return [];
      return [...text.matchAll(new RegExp(pattern, 'g'))].map((hit) => {
        const line = text.slice(0, hit.index).split('\n').length;
        return `${path}:${line} has ${what}: ${hit[0]}`;
      });
    }),
  );
  t.strictSame(found, []);
});

interface PackageJson {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

t.test('packages are pinned exactly, scripts exist', async (t) => {
  const manifest = JSON.parse(file('package.json').text) as PackageJson;
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  const pinned = { ...dependencies, ...devDependencies, ...optionalDependencies };
  for (const [name, version] of Object.entries(pinned)) {
    t.match(version, /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, `${name} is pinned`);
  }
  for (const [name, command] of Object.entries(manifest.scripts)) {
    const script = /scripts\/[\w-]+\.(?:ts|mjs)/.exec(command)?.[0];
    if (script !== undefined)
      t.ok(
        FILES.some(({ path }) => path === script),
        `${name}: ${script}`,
      );
  }
});

/** Names of the packages that these files import. */
function packagesIn(sources: typeof SOURCES): ReadonlySet<string> {
  const pattern = /(?:\bfrom|\bimport|import\()\s*'((?:@[\w-]+\/)?[a-z][\w-]*)['/]/g;
  return new Set(
    sources.flatMap(({ text }) => [...text.matchAll(pattern)].map((match) => match[1] ?? '')),
  );
}

t.test('packages that the program imports are dependencies, and are used', async (t) => {
  const manifest = JSON.parse(file('package.json').text) as PackageJson;
  const shipped = packagesIn(PRODUCT.filter(({ path }) => /^(src|console|images)\//.test(path)));
  for (const name of shipped) {
    if (name === 'node' || name in manifest.dependencies) continue;
    // Types vanish at run time and may come from what is needed for development only.
    const typesOnly = PRODUCT.every(
      ({ path, text }) =>
        !/^(src|console|images)\//.test(path) ||
        !new RegExp(`^import (?!type).*'${name}`, 'm').test(text),
    );
    t.ok(typesOnly, `${name} is a dependency`);
  }
  const all = packagesIn(SOURCES);
  const idle = Object.keys(manifest.dependencies).filter((name) => !all.has(name));
  t.strictSame(idle, []);
});
