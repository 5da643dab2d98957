/**
 * The verbs `bundle ...` as a script and as a person see them: exit statuses, JSON on standard
 * output, what is untrusted is called so, Ctrl-C leaves nothing behind.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { runCommand } from '../../src/cli/run.ts';
import type { CliIo } from '../../src/cli/verb.ts';
import { craft, sampleImages } from './craft.ts';
import { sampleSpec } from './made.ts';

interface Done {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  readonly json: any; // oxlint-disable-line typescript/no-explicit-any
}

async function tandem(words: readonly string[], change: Partial<CliIo> = {}): Promise<Done> {
  let out = '';
  let err = '';
  const io: CliIo = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    errIsTerminal: false,
    columns: 80,
    env: {},
    signal: new AbortController().signal,
    ...change,
  };
  const exit = await runCommand(['bundle', ...words], io);
  return { exit, out, err, json: words.includes('--json') ? JSON.parse(out) : undefined };
}

/** A folder with images, a spec that names them, two keys and their root. */
async function bench(dir: string) {
  const at = (name: string): string => `${dir}/${name}`;
  for (const [name, raw] of Object.entries(sampleImages())) writeFileSync(at(`${name}.img`), raw);
  const { images, ...spec } = sampleSpec({ notes: 'two\nlines' });
  const files = images.map((image) => ({ ...image, file: `${image.name}.img` }));
  writeFileSync(
    at('spec.jsonc'),
    `// made for a test\n${JSON.stringify({ ...spec, images: files })}`,
  );
  const root = ['--root', at('root.json')];
  await tandem(['keygen', '--out', dir, '--name', 'a', ...root]);
  await tandem(['keygen', '--out', dir, '--name', 'b', ...root, '--threshold', '2']);
  return { at, root, bin: at('update.bin') };
}

await t.test('make, sign, show, verify', async (t) => {
  const { at, root, bin } = await bench(t.testdir({}));
  const manifest = ['--manifest', at('manifest.json')];
  const made = await tandem(['make', at('spec.jsonc'), '--out', bin, ...manifest, '--json']);
  t.match(made, { exit: 0, json: { file: bin, signatures: 0, manifest: { version: '2.0.0' } } });
  t.match(made.err, /compress: 100 %/);
  t.match(await tandem(['verify', bin, ...root, '--json']), {
    exit: 13,
    json: { exit: 13, error: { code: 'trust.untrusted' } },
  });
  const signed = await tandem(['sign', bin, '--key', at('a.key'), '--json']);
  t.match(signed.json, { bundle: made.json.bundle, keyids: [/^[0-9a-f]{64}$/] });
  const list = ['--key', at('b.key'), '--out', at('b.sig')];
  const elsewhere = await tandem(['sign', ...manifest, ...list]);
  t.match(elsewhere, { exit: 0, out: /tandem-test 2\.0\.0/ });
  t.match(await tandem(['sign', bin, '--attach', at('b.sig'), ...root]), { exit: 0 });
  const verified = await tandem(['verify', bin, ...root, '--json']);
  t.match(verified, { exit: 0, json: { trusted: true, bundle: made.json.bundle } });
  t.equal(verified.json.signers.length, 2);
  const shown = await tandem(['show', bin, '--json']);
  t.match(shown.json, { trusted: false, bundle: made.json.bundle, signatures: [{}, {}] });
  const text = await tandem(['show', bin, '--manifest', at('again.json')]);
  t.match(text.out, /^NOT VERIFIED/);
  t.match(text.out, /two\n +lines/);
  t.ok(readFileSync(at('again.json')).equals(readFileSync(at('manifest.json'))));
});

await t.test('signed at once, and compared with an earlier release', async (t) => {
  const { at, root, bin } = await bench(t.testdir({}));
  const keys = ['--key', at('a.key'), '--key', at('b.key')];
  t.match(await tandem(['make', at('spec.jsonc'), '--out', bin, ...keys]), { exit: 0 });
  t.match(await tandem(['verify', bin, ...root]), { exit: 0, out: /2 trusted signatures/ });
  const spec = readFileSync(at('spec.jsonc'), 'utf8');
  writeFileSync(at('old.jsonc'), spec.replaceAll('"2.0.0"', '"1.9.0"').replaceAll(':20,', ':21,'));
  const after = ['--after', bin, '--out', at('old.bin'), '--json'];
  const old = await tandem(['make', at('old.jsonc'), ...after]);
  t.match(old, { exit: 2, json: { error: { code: 'bundle.invalid_input' } } });
  const image = ['--image', `system=${at('storage.img')}`, '--out', at('other.bin'), '--json'];
  const other = await tandem(['make', at('spec.jsonc'), ...image]);
  t.equal(other.json.manifest.images[0].rawBytes, 1024, 'the option wins over the spec');
});

await t.test('usage', async (t) => {
  const { at, bin, root } = await bench(t.testdir({}));
  const rows: [string, string[]][] = [
    ['verify without a root', ['verify', bin]],
    ['sign nothing', ['sign']],
    ['sign without a key', ['sign', bin]],
    ['sign a manifest without --out', ['sign', '--manifest', at('x'), '--key', at('a.key')]],
    ['a bundle and a manifest', ['sign', bin, '--manifest', at('x')]],
    ['keygen without a place', ['keygen']],
    ['keygen over a key', ['keygen', '--out', at('.'), '--name', 'a']],
    ['a threshold without a root', ['keygen', '--out', at('.'), '--name', 'c', '--threshold', '1']],
    [
      'a threshold out of reach',
      ['keygen', '--out', at('.'), '--name', 'c', ...root, '--threshold', '9'],
    ],
    ['a public key without a root', ['keygen', '--public', at('a.pub')]],
    ['make without a spec', ['make']],
    ['a level of 30', ['make', at('spec.jsonc'), '--level', '30']],
    ['an image without a name', ['make', at('spec.jsonc'), '--image', at('system.img')]],
    ['a missing spec', ['make', at('none.jsonc')]],
    ['a missing bundle', ['show', at('none.bin')]],
  ];
  for (const [name, words] of rows) {
    const { exit, out } = await tandem(words);
    t.equal(exit, 2, name);
    t.equal(out, '', name);
  }
  t.notOk(existsSync(at('c.key')), 'a refused key leaves no file');
});

await t.test('files that are no bundle', async (t) => {
  const { at, root } = await bench(t.testdir({ folder: {}, 'text.bin': '<html>404</html>' }));
  writeFileSync(at('cut.bin'), craft().subarray(0, 9000));
  const verify = async (name: string) =>
    (await tandem(['verify', at(name), ...root, '--json'])).json;
  t.match(await verify('folder'), { exit: 10, error: { code: 'bundle.not_a_file' } });
  t.match(await verify('cut.bin'), { exit: 10, error: { code: 'bundle.truncated' } });
  t.match(await verify('text.bin'), { exit: 10, error: { message: /web page/ } });
  const noRoot = await tandem(['verify', at('cut.bin'), '--root', at('none.json'), '--json']);
  t.match(noRoot, { exit: 13, json: { error: { code: 'trust.no_root' } } });
});

await t.test('Ctrl-C leaves nothing behind', async (t) => {
  const dir = t.testdir({});
  const { at, bin } = await bench(dir);
  const before = readdirSync(dir);
  const signal = AbortSignal.abort('SIGINT');
  const made = await tandem(['make', at('spec.jsonc'), '--out', bin, '--json'], { signal });
  t.match(made, { exit: 41, json: { error: { code: 'bundle.interrupted' } } });
  t.same(readdirSync(dir), before);
});

await t.test('on a terminal the progress is one line', async (t) => {
  const { at, bin } = await bench(t.testdir({}));
  const terminal = { errIsTerminal: true, columns: 60 };
  const { err } = await tandem(['make', at('spec.jsonc'), '--out', bin], terminal);
  t.equal(err.split('\n').length, 2);
  const last = err.split('\r').at(-1)?.replace('\u001b[K', '').trimEnd() ?? '';
  t.match(last, /^compress \[#+\] 100 %/);
  t.ok(last.length < 60);
});
