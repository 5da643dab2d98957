/**
 * A script that was written from the man page alone, against a real pair: each failure has its exit
 * status and its word; the update is made once although the script is killed in the middle and
 * started again, although the node that it talks to reboots, and although the active changes. And
 * the daemon of a real node answers as the description of the API says. Only with PAIR_ALL=1.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ROUTES } from '../../src/control/routes.ts';
import type { NodeId } from '../../src/core/model.ts';
import { wrongWith, type Answered } from '../control/description.ts';
import { strike } from './faults.ts';
import { Bench, READY_MS, RELEASES, runCommand, type Command } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(230_000);
const SCRIPT = join(import.meta.dirname, 'from-the-man-page.sh');
const skip = process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false;

async function get(socketPath: string, path: string): Promise<Answered> {
  const sent = request({ socketPath, path, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

t.test('a script from the man page', { skip }, async (t) => {
  await promisify(execFile)('sh', ['-n', SCRIPT]);
  const bench = await Bench.open(t);
  const { watch, pair } = bench;
  const bin = join(bench.dir, 'bin');
  await mkdir(bin);
  const tandem = `exec '${process.execPath}' '${bench.workshop.programs.tandem}' "$@"\n`;
  await writeFile(join(bin, 'tandem'), `#!/bin/sh\n${tandem}`, { mode: 0o755 });
  const script = (node: NodeId, file: string, key: string, socket?: string): Command => {
    const TANDEM_SOCKET = socket ?? pair.nodes[node].controlSocket;
    const PATH = `${bin}:${process.env['PATH']}`;
    return runCommand('sh', [SCRIPT, file, key], { ...process.env, PATH, TANDEM_SOCKET });
  };
  const good = await bench.bundle(RELEASES.second);
  const notOnB = await bench.bundle(RELEASES.notOnB);
  const damaged = join(bench.dir, 'damaged.bin');
  await copyFile(good, damaged);
  await truncate(damaged, 100_000);
  await bench.running.waitAvailable(READY_MS, bench.signal);

  await t.test('failures before anything is written have their word', async (t) => {
    for (const [file, socket, exit, word] of [
      [damaged, undefined, 10, 'bundle-damaged'],
      [join(bench.dir, 'none.bin'), undefined, 2, 'usage'],
      [good, join(bench.dir, 'nobody.sock'), 50, 'no-daemon'],
    ] as const) {
      const { exit: found, stdout } = await script('A', file, 'k0', socket).done;
      t.equal(found, exit);
      t.equal(stdout, `${word}\n`);
    }
  });

  await t.test('every look at a real node is as described', async (t) => {
    for (const { method, path } of ROUTES) {
      if (method !== 'GET' || path.includes(':')) continue;
      const answer = await get(pair.nodes.A.controlSocket, path);
      t.equal(answer.status, 200, path);
      t.strictSame(wrongWith(method, path, answer), []);
    }
  });

  await t.test('the second node fails; the node that was asked loses its power', async (t) => {
    bench.startClient();
    const asked = script('A', notOnB, 'k1');
    await bench.during(asked, watch.phase('TRIAL1', 0));
    t.ok(await strike(bench, 'reset', 'A'));
    const { exit, stdout, stderr } = await asked.done;
    t.equal(exit, 32);
    t.match(stdout, /^job update-\w+\nsecond-node-failed\n$/);
    t.match(stderr, /waiting for it/, 'the wait has seen its daemon go');
    const ends = { A: '2.0.0', B: '1.0.0', phase: 'HOLD_MIXED' };
    await expectEnd(t, bench, { ...ends, alarms: ['standby.failed_held'] });
  });

  await t.test('good: killed and started again, the active is lost, then committed', async (t) => {
    bench.startClient();
    const from = watch.events.length;
    const asked = script('B', good, 'k2');
    await bench.during(asked, watch.phase('INSTALL2', from));
    asked.signal('SIGKILL');
    const { stdout: before } = await asked.done;
    const again = script('B', good, 'k2');
    await bench.during(again, watch.phase('TRIAL2', from));
    t.ok(await strike(bench, 'reset', 'A'), 'the active');
    const { exit, stdout } = await again.done;
    t.equal(exit, 0);
    t.equal(stdout, `${before}updated\n`, 'the same job');
    const updates = (await bench.history('B')).filter(({ kind }) => kind === 'update');
    t.equal(updates.length, 2, 'one for each of the two scripts');
    t.equal(updates[0]?.finalized, true);
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  });

  await t.test('there is nothing to do any more, and an old key is of no use', async (t) => {
    t.match(await script('A', good, 'k3').done, { exit: 3, stdout: 'nothing-to-do\n' });
    const reused = await script('A', good, 'k1').done;
    t.match(reused, { exit: 2, stdout: 'usage\n', stderr: /request\.key_reused/ });
  });
});
