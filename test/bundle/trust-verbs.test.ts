/**
 * The verbs `trust ...` and what of `bundle ...` belongs to new trust roots, as the people of a key
 * ceremony use them: made, signed on several machines, checked, put into a bundle.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { runCommand } from '../../src/cli/run.ts';
import type { CliIo } from '../../src/cli/verb.ts';
import { sampleImages } from './craft.ts';
import { sampleSpec } from './made.ts';

async function tandem(...words: string[]) {
  let [out, err] = ['', ''];
  const io: CliIo = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    errIsTerminal: false,
    columns: 80,
    env: {},
    signal: new AbortController().signal,
  };
  const exit = await runCommand(words, io);
  return { exit, out, err, json: words.includes('--json') ? JSON.parse(out) : undefined };
}

/** Keys a to d in a folder, and a first root of a and b, of which both must sign. */
async function bench(dir: string) {
  const at = (name: string): string => `${dir}/${name}`;
  const ids = new Map<string, string>();
  for (const name of ['a', 'b', 'c', 'd']) {
    const made = await tandem('bundle', 'keygen', '--out', dir, '--name', name, '--json');
    ids.set(name, made.json.keyid);
  }
  const add = (name: string): string[] => ['--add', `${name}=${at(`${name}.pub`)}`];
  const first = ['trust', 'make', ...add('a'), ...add('b'), '--threshold', '2'];
  t.match(await tandem(...first, '--out', at('root.json')), { exit: 0, out: /version 1: 2 of 2/ });
  const key = (name: string): string[] => ['--key', at(`${name}.key`)];
  return { at, add, key, id: (name: string): string => ids.get(name) ?? '' };
}

await t.test('a key ceremony, and the bundle that brings its root', async (t) => {
  const dir = t.testdir({});
  const { at, add, key, id } = await bench(dir);
  const change = ['--revoke', id('a').slice(0, 8), '--remove', id('b').slice(0, 12)];
  const make = ['trust', 'make', '--from', at('root.json'), ...change, ...add('c'), ...add('d')];
  const made = await tandem(...make, '--out', at('next.json'), '--json');
  t.match(made.json.root, { version: 2, threshold: 2 });
  t.match(made.json.root.keys, [{ keyid: id('a'), revoked: true }, { name: 'c' }, { name: 'd' }]);
  const roots = ['--roots', at('roots.json')];
  const root = ['--root', at('root.json')];
  const verify = ['trust', 'verify', at('roots.json'), ...root];
  const sign = (...words: string[]) => tandem('trust', 'sign', at('next.json'), ...roots, ...words);
  t.match(await sign(...key('a'), ...key('c')), { exit: 0, out: /signed trust root 2/ });
  t.match(await tandem(...verify, '--json'), {
    exit: 13,
    json: { error: { code: 'trust.rotation', detail: { found: 1, expected: 2, keys: 'old' } } },
  });
  t.match((await sign(...key('b'), '--json')).json, { version: 2, keyids: { length: 3 } });
  t.match(await tandem(...verify, '--json'), {
    exit: 13,
    json: { error: { message: /new keys/ } },
  });
  t.match((await sign(...key('d'), '--json')).json.keyids.length, 4);
  t.match((await sign(...key('d'), '--json')).json.keyids.length, 4, 'again: replaced');
  const out = ['--out', at('kept.json')];
  t.match(await tandem(...verify, ...out), { exit: 0, out: /from trust root 1 to 2/ });
  t.ok(readFileSync(at('kept.json')).equals(readFileSync(at('next.json'))));
  const shown = await tandem('trust', 'show', at('roots.json'));
  t.match(shown.out, /NOT VERIFIED[^]*version 2: 2 of 2[^]*REVOKED[^]*not checked/);
  t.match((await tandem('trust', 'show', at('next.json'))).out, /^trust root {2}version 2/);

  for (const [name, raw] of Object.entries(sampleImages())) writeFileSync(at(`${name}.img`), raw);
  writeFileSync(at('spec.json'), JSON.stringify(sampleSpec()));
  const files = ['system', 'storage'].flatMap((name) => ['--image', `${name}=${at(name)}.img`]);
  const bin = at('update.bin');
  const bundle = ['bundle', 'make', at('spec.json'), ...files, ...key('c'), ...key('d')];
  t.match(await tandem(...bundle, ...roots, '--out', bin), { exit: 0 });
  const verified = await tandem('bundle', 'verify', bin, ...root, '--json');
  t.match(verified.json, {
    trusted: true,
    trustRoot: 2,
    from: 1,
    manifest: { requires: ['root'] },
  });
  t.match(
    (await tandem('bundle', 'verify', bin, ...root)).out,
    /version 2, which it brings itself/,
  );
  t.match((await tandem('trust', 'show', bin)).out, /version 2/);
  t.match((await tandem('trust', 'verify', bin, ...root, '--json')).json, { from: 1, version: 2 });
  const there = await tandem('trust', 'verify', bin, '--root', at('kept.json'), '--json');
  t.match(there.json, { from: 2, version: 2, written: null }, 'nothing newer: nothing is written');
  t.match(await tandem('bundle', 'sign', bin, ...key('c')), { exit: 0 }, 'it can be signed again');
  t.match(await tandem('bundle', 'verify', bin, ...root), { exit: 0 });
});

await t.test('what is refused leaves nothing behind', async (t) => {
  const { at, add, key, id } = await bench(t.testdir({ text: 'none' }));
  const make = ['trust', 'make', '--from', at('root.json'), '--out', at('next.json')];
  const rows: readonly (readonly [string, number, readonly string[]])[] = [
    ['no place', 2, ['trust', 'make', ...add('a')]],
    ['no key', 2, ['trust', 'make', '--out', at('next.json')]],
    ['a key that it has', 2, [...make, ...add('a')]],
    ['an unknown key', 2, [...make, '--revoke', '0'.repeat(64)]],
    ['7 digits', 2, [...make, '--revoke', id('a').slice(0, 7)]],
    ['a threshold out of reach', 2, [...make, '--revoke', id('a')]],
    ['a threshold of 0', 2, [...make, '--threshold', '0']],
    ['no name', 2, [...make, '--add', at('c.pub')]],
    ['no public key', 2, [...make, '--add', `c=${at('text')}`]],
    ['no root', 13, ['trust', 'make', '--from', at('text'), '--out', at('next.json')]],
    ['sign without a key', 2, ['trust', 'sign', at('root.json'), '--roots', at('roots.json')]],
    ['sign into nothing', 2, ['trust', 'sign', at('root.json'), ...key('a')]],
    ['sign no root', 13, ['trust', 'sign', at('text'), '--roots', at('r.json'), ...key('a')]],
    ['verify without a root', 2, ['trust', 'verify', at('root.json')]],
    ['show what is none', 10, ['trust', 'show', at('text')]],
    ['bytes to nowhere', 2, ['bundle', 'to-sign', at('root.json')]],
    ['bytes of nothing', 10, ['bundle', 'to-sign', at('text'), '--out', at('bytes')]],
  ];
  for (const [name, exit, words] of rows) t.equal((await tandem(...words)).exit, exit, name);
  for (const name of ['next.json', 'roots.json', 'r.json', 'bytes']) {
    t.notOk(existsSync(at(name)), name);
  }
});

await t.test('a root in the file is not exchanged, and none is left out', async (t) => {
  const { at, add, key, id } = await bench(t.testdir({}));
  const next = async (from: string, to: string, ...words: string[]): Promise<void> => {
    const made = await tandem('trust', 'make', '--from', at(from), '--out', at(to), ...words);
    t.equal(made.exit, 0);
  };
  await next('root.json', 'next.json', ...add('c'));
  await next('next.json', 'third.json', '--revoke', id('a'));
  await next('third.json', 'fourth.json', ...add('d'));
  const sign = (file: string) =>
    tandem('trust', 'sign', at(file), '--roots', at('roots.json'), ...key('a'), ...key('b'));
  t.match(await sign('next.json'), { exit: 0 });
  t.match(await sign('fourth.json'), { exit: 2, err: /expected 3/ });
  await next('root.json', 'next.json', ...add('d'));
  t.match(await sign('next.json'), { exit: 2, err: /has another root of version 2 already/ });
  t.match(await sign('third.json'), { exit: 0 });
  const shown = await tandem('trust', 'show', at('roots.json'), '--json');
  t.match(shown.json.roots, [{ root: { version: 2 } }, { root: { version: 3 } }]);
  const back = ['trust', 'make', '--from', at('third.json'), ...add('a'), '--out', at('x.json')];
  t.match(await tandem(...back), { exit: 2, err: /was revoked and cannot come back/ });
});

await t.test('bytes for a key elsewhere', async (t) => {
  const { at } = await bench(t.testdir({}));
  const out = ['--out', at('bytes')];
  const wrote = await tandem('bundle', 'to-sign', at('root.json'), ...out, '--json');
  t.match(wrote.json, { payload: 'root', sha256: /^[0-9a-f]{64}$/ });
  const text = readFileSync(at('bytes'), 'latin1');
  t.ok(text.startsWith('DSSEv1 35 application/vnd.tandem.root.v1+json '));
  t.ok(text.endsWith(readFileSync(at('root.json'), 'latin1')));
  t.match((await tandem('bundle', 'to-sign', at('root.json'), ...out)).out, /openssl pkeyutl/);
});
