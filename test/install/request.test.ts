/**
 * The one line that the installer is told: limits, fields, an input that ends. May import tap,
 * node: and src.
 */
import { PassThrough } from 'node:stream';
import t from 'tap';
import { readRequest, REQUEST_BYTES_MAX } from '../../src/install/request.ts';

const VERIFY = { do: 'verify', path: 'update.bin', trustRoot: 'root.json' };

t.test('a request in pieces; the input is watched on', async (t) => {
  const input = new PassThrough();
  let closed = 0;
  const request = readRequest(input, () => (closed += 1));
  const text = `${JSON.stringify(VERIFY)}\nwhat follows is not looked at\n`;
  for (const piece of [text.slice(0, 9), text.slice(9, 30), text.slice(30)]) input.write(piece);
  t.same(await request, VERIFY);
  t.equal(closed, 0);
  input.end('more');
  await new Promise((resolve) => input.once('end', resolve));
  t.equal(closed, 1);
});

t.test('requests that are none', async (t) => {
  for (const [text, why] of [
    ['', /no line/],
    ['{"do":"verify"', /no line/],
    ['not json\n', /not JSON/],
    ['null\n', /do: undefined/],
    ['{"do":"toString"}\n', /toString/],
    [`{"do":${'['.repeat(20_000)}${']'.repeat(20_000)}}\n`, /do: object/],
    ['{"do":"verify","path":7,"trustRoot":"x"}\n', /path is number, expected string/],
    ['{"do":"fetch","from":null}\n', /from is null, expected object/],
    ['{"do":"stage","path":"a","trustRoot":"b"}\n', /depotDir is undefined/],
    [`{"do":"${'x'.repeat(REQUEST_BYTES_MAX)}"}\n`, /more than 262144 bytes/],
  ] as const) {
    const input = new PassThrough();
    input.end(text);
    const run = readRequest(input, () => undefined);
    await t.rejects(run, { code: 'usage.invalid', message: why }, text.slice(0, 40));
  }
});
