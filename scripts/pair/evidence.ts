/**
 * What explains a failure, in a folder: serial lines, what was seen from outside, messages, the
 * daemons' state with their journals, and the support archive that the product makes itself. Always
 * holds: an appliance that does not answer is no reason to keep less of the other one. Imports core
 * and the pair.
 */
import { cp, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { NODES } from '../../src/core/model.ts';
import type { AppliancePair, BenchNode } from './appliance-pair.ts';

/** Longest time for one thing of a node that may be half dead. */
const PART_MS = 90_000;

/** Keeps everything of a pair that can be had in `folder`; throws what writing there throws. */
export async function keepEvidence(pair: AppliancePair, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { lines, events, faults } = pair.watch;
  await writeFile(join(folder, 'watch.txt'), [...lines, ...faults, ''].join('\n'));
  await writeFile(join(folder, 'events.ndjson'), ndjson(events));
  await writeFile(join(folder, 'fencing.ndjson'), ndjson(pair.vms.controller.requests));
  await Promise.all(NODES.map((id) => keepNode(pair.nodes[id], folder)));
}

const ndjson = (all: readonly unknown[]): string =>
  all.map((one) => `${JSON.stringify(one)}\n`).join('');

async function keepNode(node: BenchNode, folder: string): Promise<void> {
  const { id, machine } = node;
  await cp(machine.serialFile, join(folder, `serial-${id}.log`));
  await writeFile(join(folder, `machine-${id}.ndjson`), ndjson(machine.events.all));
  const parts = { messages: keepMessages, state: keepState, support: keepSupport };
  for (const [what, keep] of Object.entries(parts)) {
    try {
      await keep(node, folder);
    } catch (error) {
      const words = `${what} cannot be had: ${asUpdateError(error).message}\n`;
      await writeFile(join(folder, `${what}-${id}.missing.txt`), words);
    }
  }
}

/** What a command of root prints, of a node that is up; throws `tool.failed` when it fails. */
async function saidBy({ id, door }: BenchNode, command: string): Promise<string> {
  if (!door.isOpen) throw new UpdateError('daemon.unreachable', `node ${id} lets nobody in`);
  const { status, output } = await door.run(command, PART_MS);
  if (status === 0) return output;
  throw new UpdateError('tool.failed', `node ${id}, "${command}": ${output.slice(0, 500)}`);
}

async function keepMessages(node: BenchNode, folder: string): Promise<void> {
  // Whatever of it there is.
  const words = 'logread; free; ip addr; ps -o pid,ppid,rss,stat,time,args; true';
  await writeFile(join(folder, `messages-${node.id}.txt`), await saidBy(node, words));
}

async function keepState(node: BenchNode, folder: string): Promise<void> {
  // The appliance's tar can leave nothing out. Bundles and copies of the data are too large.
  const names = '$(ls -A | grep -vxE "depot|store")';
  const words = `cd /data/tandem && tar -cf /tmp/state.tar ${names} && base64 /tmp/state.tar`;
  const text = await saidBy(node, words);
  await writeFile(join(folder, `state-${node.id}.tar`), Buffer.from(text, 'base64'));
}

async function keepSupport({ id, control }: BenchNode, folder: string): Promise<void> {
  await using to = await open(join(folder, `support-${id}.tar.gz`), 'w');
  const limit = AbortSignal.timeout(PART_MS);
  for await (const part of control.supportStream('bench', limit)) await to.write(part);
}
