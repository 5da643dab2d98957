/**
 * `bundle make --base`, and what the other bundle verbs say of a delta: what it installs over, and
 * whether everything could be checked. May import tap, node: and the command line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runCommand } from '../../src/cli/run.ts';
import { sampleImages } from './craft.ts';
import { sampleSpec } from './made.ts';

const DIR = t.testdir();
const at = (name: string): string => join(DIR, name);

async function tandem(...words: readonly string[]) {
  let [out, err] = ['', ''];
  const exit = await runCommand(['bundle', ...words], {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    errIsTerminal: false,
    columns: 100,
    env: {},
    signal: new AbortController().signal,
  });
  return { exit, out, err };
}

/** Writes images and spec of a release; every image of the later one is the earlier one, moved. */
function release(name: string, version: string, counter: number, front: Buffer): string {
  for (const [image, raw] of Object.entries(sampleImages())) {
    writeFileSync(at(`${name}-${image}.img`), Buffer.concat([front, raw]));
  }
  const { images, ...spec } = sampleSpec({ version, releaseCounter: counter });
  const files = images.map((image) => {
    const own = image.class === 'system' ? { version, counter } : {};
    return { ...image, ...own, file: `${name}-${image.name}.img` };
  });
  writeFileSync(at(`${name}.jsonc`), JSON.stringify({ ...spec, images: files }));
  return at(`${name}.jsonc`);
}

t.test('made, shown, verified', async (t) => {
  const [old, next] = [
    release('old', '1.9.0', 19, Buffer.alloc(0)),
    release('new', '2.0.0', 20, Buffer.from('moved by nine and then some')),
  ];
  const root = ['--root', at('root.json')];
  t.equal((await tandem('keygen', '--out', DIR, '--name', 'a', ...root)).exit, 0);
  const key = ['--key', at('a.key')];
  const [full, delta] = [at('full.bin'), at('delta.bin')];
  t.equal((await tandem('make', old, '--out', full, ...key)).exit, 0);
  const made = await tandem('make', next, '--base', full, '--out', delta, ...key);
  t.equal(made.exit, 0, made.err);
  t.match(made.out, /delta: installs over system 1\.9\.0 \(counter 19, [0-9a-f]{12}\) only/);
  t.match(made.err, /compress: 100 %/, 'taking the base apart is part of the progress');
  t.match((await tandem('show', delta)).out, /delta: installs over system 1\.9\.0/);
  t.notMatch((await tandem('show', full)).out, /delta/);

  const alone = await tandem('verify', delta, ...root);
  t.match(alone, { exit: 0, out: /\nwhat the deltas give was not checked/ });
  const words = ['--base', full];
  const whole = await tandem('verify', delta, ...root, ...words);
  const complete = await tandem('verify', full, ...root);
  for (const { exit, out } of [whole, complete]) {
    t.equal(exit, 0);
    t.match(out, /all \d+ bytes are as signed/);
    t.notMatch(out, /not checked/);
  }
  t.match(JSON.parse((await tandem('verify', delta, ...root, '--json')).out), { complete: false });
  const json = await tandem('verify', delta, ...root, ...words, '--json');
  t.match(JSON.parse(json.out), { trusted: true, complete: true });
});

t.test('a base that is none', async (t) => {
  const next = at('new.jsonc');
  const out = ['--out', at('none.bin')];
  t.match(await tandem('make', next, '--base', at('delta.bin'), ...out), {
    exit: 2,
    err: /a delta bundle as base/,
  });
  t.match(await tandem('make', next, '--base', next, ...out), { exit: 10, err: /wrong_type/ });
  const over = ['--out', at('full.bin')];
  t.match(await tandem('make', next, '--base', at('full.bin'), ...over), {
    exit: 2,
    err: /a base that would be replaced/,
  });
});
