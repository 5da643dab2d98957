/**
 * Names and passwords that are accepted, by table. May import tap and core.
 */
import t from 'tap';
import { isUserName, normalPassword, passwordRefusal } from '../../src/core/access-policy.ts';

t.test('names', async (t) => {
  for (const name of ['a', 'anna', 'anna.b-c_d9', `a${'b'.repeat(31)}`]) t.ok(isUserName(name));
  const not = ['', 'Anna', '9a', '-a', 'a b', 'a/b', 'ä', `a${'b'.repeat(32)}`, 'a\n', '__proto__'];
  for (const name of not) t.notOk(isUserName(name), JSON.stringify(name));
});

const GOOD = [
  'correct horse battery',
  'Zug-Bier-7-Lampe',
  'tandem runs at night 4',
  'üöäß-ÜÖÄ-12x',
  'a1b2c3d4e5',
  'x'.repeat(4) + 'blue lamp in the cellar',
  '密码是一条很长的河流吗',
];
const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /0 characters/],
  ['short9!', /7 characters; accepted: 10 to 128/],
  ['x'.repeat(129), /129 characters/],
  ['aaaaaaaaaaaa', /1 different/],
  ['abababababab', /2 different/],
  ['1234567890', /a row/],
  ['0987654321', /a row/],
  ['abcdefghijkl', /a row/],
  ['QwertyUiop', /a row/],
  ['qwertzuiop12', /a row/],
  ['anna-anna-12', /without "anna"/],
  ['Password12', /without "password"/],
  ['changeme123', /without "changeme"/],
  ['tab\there is one', /control character/],
];

t.test('passwords', async (t) => {
  for (const password of GOOD) t.equal(passwordRefusal('anna', password), null, password);
  for (const [password, words] of BAD) {
    const refusal = passwordRefusal('anna', password);
    t.match(refusal, words, password);
    if (password !== '') t.notOk(refusal?.includes(password), 'it is not repeated');
  }
});

t.test('a name of one letter forbids no letter', async (t) => {
  t.equal(passwordRefusal('a', 'a bat in the attic'), null);
});

t.test('the same password from two keyboards is one', async (t) => {
  t.equal(normalPassword('u\u0308ber'), normalPassword('\u00fcber'));
});
