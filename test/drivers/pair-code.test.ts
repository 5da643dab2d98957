/**
 * The one-time code as people type it: reading and writing, and every error of one digit or of two
 * exchanged ones. May import tap and the driver under test.
 */
import t from 'tap';
import { decodeCode, encodeCode, newSecret } from '../../src/drivers/pair-code.ts';

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.split('');
const isRefused = (text: string): boolean => {
  try {
    decodeCode(text);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'pair.code_malformed';
  }
};

await t.test('a code is read as it was written', async (t) => {
  const fixed = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
  t.equal(encodeCode(fixed), '008J-4CT4-ANK7-F24S-NAXW-SQFE-ZWJS');
  t.equal(encodeCode(Buffer.alloc(16, 255)), 'ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZWGT');
  for (let n = 0; n < 50; n += 1) {
    const secret = newSecret();
    const code = encodeCode(secret);
    t.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/);
    t.same(decodeCode(code), secret);
    t.same(decodeCode(` ${code.toLowerCase().replaceAll('-', ' ')} `), secret);
    t.same(decodeCode(code.replaceAll('0', 'o').replaceAll('1', n % 2 ? 'l' : 'I')), secret);
  }
});

await t.test('every wrong digit and every exchange of two digits is found', async (t) => {
  const code = encodeCode(Buffer.from('9f3a71c04be85d1266afe2907731cb58', 'hex'));
  const digits = code.replaceAll('-', '').split('');
  let wrong = 0;
  let missed = 0;
  for (let at = 0; at < digits.length; at += 1) {
    for (const digit of DIGITS) {
      if (digit === digits[at]) continue;
      wrong += 1;
      if (!isRefused(digits.with(at, digit).join(''))) missed += 1;
    }
    for (let other = at + 1; other < digits.length; other += 1) {
      if (digits[other] === digits[at]) continue;
      wrong += 1;
      const swapped = digits.with(at, digits[other]!).with(other, digits[at]!);
      if (!isRefused(swapped.join(''))) missed += 1;
    }
  }
  t.ok(wrong > 28 * 31);
  t.equal(missed, 0);
});

await t.test('what is no code', async (t) => {
  t.same(decodeCode('008J-4CT4-ANK7-F24S-NAXW-SQFE-ZWJS').at(-1), 0xff);
  t.ok(isRefused('008J-4CT4-ANK7-F24S-NAXW-SQFE-ZXJT'), 'bits that no secret has, check right');
  const code = encodeCode(newSecret());
  const texts = ['', ' ', '-', code.slice(1), `${code}0`, 'U'.repeat(28), '🔑'.repeat(14)];
  for (const text of [...texts, 'x'.repeat(1_000_000)]) t.ok(isRefused(text), text.slice(0, 40));
});
