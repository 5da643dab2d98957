/**
 * The verbs `pair replace` and `history show` against a daemon in memory: what is asked before
 * anything is sent, what is sent, what a script and a person get, and the exit statuses.
 */
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { rolloutRecord } from '../core/states.ts';
import { openBench } from '../control/harness.ts';
import { run } from './harness.ts';

const WHY = ['--yes', '--reason', 'disk'];

t.test('pair replace: a script gets the code, then the end of the job', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const ended = { id: 'replace-1', kind: 'replace', state: 'done', exit: 0 } as const;
  const replace = backend.replace.bind(backend);
  backend.replace = async (...asked) => {
    const offer = await replace(...asked);
    backend.put({ ...ended, message: 'node B has key 22' });
    return offer;
  };
  const words = ['pair', 'replace', 'b', ...WHY, '--listen', '192.0.2.1:7412', ...socket];
  const script = await run([...words, '--json'], { env: { USER: 'anna' } });
  t.equal(script.exit, EXIT.done);
  const code = '0000-0000-0000-0000-0000-0000-0000';
  const first = { code, node: 'B', listen: '192.0.2.1:7412', validS: 600, job: 'replace-1' };
  t.match(script.lines(), [first, { kind: 'replace', state: 'done', exit: 0 }]);
  const listen = { host: '192.0.2.1', port: 7412 };
  t.strictSame(backend.asked, [
    { what: 'replace', value: { node: 'B', reason: 'disk', listen }, by: 'anna' },
  ]);
  const detached = await run(['pair', 'replace', 'B', ...WHY, '--detach', ...socket]);
  t.equal(detached.out, `${code}\n`, 'the code alone on standard output');
  t.match(detached.err, /loses its place[^]*which must run 2\.0\.0: tandem pair join 192\.0\.2\.1/);
});

t.test('pair replace: asked before it is sent, and refused', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const wrong: readonly (readonly [words: readonly string[], exit: number, err: RegExp])[] = [
    [['C', ...WHY], EXIT.usage, /NODE is C; accepted: A, B/],
    [['B'], EXIT.usage, /no terminal, and --yes --reason/],
    [['B', '--yes'], EXIT.usage, /--yes needs --reason/],
    [['B', ...WHY, '--detach', '--follow'], EXIT.usage, /--detach does not go with --follow/],
    [['B', ...WHY, '--listen', 'nowhere'], EXIT.usage, /nowhere/],
  ];
  for (const [words, exit, err] of wrong) {
    t.match(await run(['pair', 'replace', ...words, ...socket]), { exit, err }, words.join(' '));
  }
  const other = { ask: async () => 'yes' };
  const asked = await run(['pair', 'replace', 'B', ...socket], other);
  t.match(asked, {
    exit: EXIT.cancelled,
    err: /What only node B holds is lost[^]*was not "replace B"/,
  });
  t.strictSame(backend.asked, [], 'nothing was sent');
  backend.refusal = new UpdateError('replace.refused', 'node B answers');
  const person = { ask: async () => 'replace B' };
  const refused = await run(['pair', 'replace', 'B', ...socket], person);
  t.match(refused, { exit: EXIT.pairNotHealthy, err: /node B answers/ });
});

t.test('history show: a log, a record, a picture', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  backend.rollouts = [rolloutRecord({ id: 'update-1' })];
  t.match(await run(['history', 'show', 'update-1', ...socket]), {
    exit: 0,
    out: /^update update-1/,
  });
  const json = await run(['history', 'show', 'update-1', '--json', ...socket]);
  t.match(json.json(), { id: 'update-1', kind: 'update' });
  const svg = await run(['history', 'show', 'update-1', '--svg', ...socket]);
  t.match(svg, {
    exit: 0,
    err: '',
    out: /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*<\/svg>\n$/,
  });
  t.match(await run(['history', 'show', 'update-2', '--svg', ...socket]), {
    exit: EXIT.usage,
    err: /there is no rollout update-2/,
  });
  const both = await run(['history', 'show', 'update-1', '--svg', '--json', ...socket]);
  t.match(both, { exit: EXIT.usage, err: /--svg does not go with --json/ });
});
