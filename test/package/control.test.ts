/**
 * Texts of the Debian package that can be checked without making one. Imports the makers and tap.
 */
import { createHash } from 'node:crypto';
import t from 'tap';
import { changelog, conffiles, control, md5sums } from '../../scripts/package/control.ts';
import {
  architecture,
  changelogDate,
  debianVersion,
  maintainer,
  NOBODY,
  sourceDateS,
} from '../../scripts/package/version.ts';
import type { Tree } from '../../scripts/appliance/tree.ts';

const TREE: Tree = [
  { path: '/etc', dir: true, mode: 0o755 },
  { path: '/etc/default', mode: 0o644, text: 'x'.repeat(1025) },
  { path: '/etc/link', link: 'default' },
  { path: '/usr', dir: true, mode: 0o755 },
  { path: '/usr/node', mode: 0o755, bytes: Buffer.from('node') },
];

const WHO = 'Ada Example <ada@example.org>';

const sum = (text: string): string => createHash('md5').update(text).digest('hex');

t.test('versions sort as they are meant to', async (t) => {
  t.equal(debianVersion('1.2.0'), '1.2.0');
  t.equal(debianVersion('1.2.0-alpha.1'), '1.2.0~alpha.1');
  t.equal(debianVersion('1.2.0-rc-1.2'), '1.2.0~rc.1.2');
  t.equal(debianVersion('1.2.0+2'), '1.2.0+2');
  t.throws(() => debianVersion('latest'), { code: 'usage.invalid' });
  t.throws(() => debianVersion('1.0 2'), { code: 'usage.invalid' });
});

t.test('the date is that of the source', async (t) => {
  t.equal(await sourceDateS({ SOURCE_DATE_EPOCH: '86400' }), 86400);
  t.equal(changelogDate(86400), 'Fri, 02 Jan 1970 00:00:00 +0000');
  await t.rejects(sourceDateS({ SOURCE_DATE_EPOCH: 'now' }), { code: 'usage.invalid' });
  t.ok((await sourceDateS({})) > 1_767_000_000);
});

t.test('who answers for a package', async (t) => {
  t.equal(maintainer(WHO, { DEBEMAIL: 'other@example.org' }), WHO, 'what is given counts');
  t.equal(maintainer(undefined, { DEBFULLNAME: 'Ada Example', DEBEMAIL: 'ada@example.org' }), WHO);
  t.equal(maintainer(undefined, { DEBFULLNAME: 'Else', DEBEMAIL: WHO }), WHO, 'as debchange does');
  t.equal(maintainer(undefined, {}), NOBODY);
  t.equal(maintainer(undefined, { DEBFULLNAME: '', DEBEMAIL: '' }), NOBODY);
  t.equal(maintainer('J. Ström <j@xn--strm-5qa.example>'), 'J. Ström <j@xn--strm-5qa.example>');
  const bad = ['', 'Ada', 'ada@example.org', '<ada@example.org>', `${WHO}, ${WHO}`, `Ada\n${WHO}`];
  for (const given of [...bad, `${WHO}\nEvil: 1`, ` ${WHO}`]) {
    t.throws(() => maintainer(given), { code: 'usage.invalid' }, JSON.stringify(given));
  }
  for (const env of [{ DEBFULLNAME: 'Ada' }, { DEBEMAIL: 'ada@example.org' }]) {
    t.throws(() => maintainer(undefined, env), { code: 'usage.invalid', message: /DEBEMAIL/ });
  }
});

t.test('machines have names of their own', async (t) => {
  t.equal(architecture('x64'), 'amd64');
  t.throws(() => architecture('mips'), { code: 'usage.invalid' });
});

t.test('sums, sizes and files of the administrator', async (t) => {
  t.equal(await md5sums(TREE), `${sum('x'.repeat(1025))}  etc/default\n${sum('node')}  usr/node\n`);
  t.equal(conffiles(TREE), '/etc/default\n');
  const text = await control(TREE, { version: '1.2.0', maintainer: WHO });
  // Two KiB and one for the files, one each for two folders and a link.
  t.match(text, '\nInstalled-Size: 6\n');
  t.match(text, '\nVersion: 1.2.0\n');
  t.match(text, `\nMaintainer: ${WHO}\n`);
  t.match(text, /\nDepends: libc6 \(>= 2\.28\), /);
  t.ok(text.split('\n').every((line) => line.length <= 160));
});

t.test('the changelog is one of Debian', async (t) => {
  const lines = (await changelog({ version: '1.2.0', maintainer: WHO, dateS: 86400 })).split('\n');
  t.equal(lines[0], 'tandem (1.2.0) unstable; urgency=medium');
  t.equal(lines.at(-2), ` -- ${WHO}  Fri, 02 Jan 1970 00:00:00 +0000`);
  const words = lines.slice(2, -3);
  t.ok(words.length > 5);
  t.strictSame(
    words.filter((line) => !/^ {2}(\* | {2})\S/.test(line) || line.length > 80),
    [],
  );
});
