/**
 * The README of a support archive: what is what, for whoever opens it. Pure; imports core and the
 * shape of a request.
 */
import { peerOf } from '../core/model.ts';
import type { SupportRequest } from './support-request.ts';

const PARTS: readonly (readonly [string, string])[] = [
  ['manifest.json', 'every file with size, SHA-256, origin, and what could not be read'],
  ['SHA256SUMS', 'the sums alone; `sha256sum -c SHA256SUMS` in this folder checks all of it'],
  [
    'status/',
    'what the daemon said: both nodes, reform checklist, rollout with its picture, jobs, records',
  ],
  ['journal/', 'every record of the journal, decoded and as the two files are'],
  ['boot/', 'state and try counter of the boot chooser, decoded and as they are'],
  ['slots/', 'the seals of the slots: what each holds, and which trial committed it'],
  ['versions/', 'settings without secrets, release, users (name and role), keys that may sign'],
  ['waiting/', 'updates that are scheduled or prepared, as this node keeps them on its disk'],
  ['logs/', 'events, history, audit, installer, storage software, workload; the newest bytes'],
  ['files/', 'names, sizes, times and rights of what lies on the data partition; no content'],
  ['system/', 'kernel, memory, mounts, disks, network, processes, kernel log, service log'],
];

/** The text of README.txt. */
export function readmeOf(request: SupportRequest, madeAt: string): string {
  const { node, program, absent, limits } = request;
  const peer = node === null ? 'the other node' : `node ${peerOf(node)}`;
  const parts = PARTS.map(([path, text]) => `  ${path.padEnd(15)} ${text}`);
  return [
    `Support archive of node ${node ?? '(not known)'}, made at ${madeAt} by Tandem ${program}.`,
    '',
    ...parts,
    '',
    `It tells of ${peer} only what this node has heard of it. Make an archive there too:`,
    '  tandem support --out FILE',
    '',
    'Keys, passwords, pairing codes, records of clients, and the content of slots and bundles are',
    'not in it; texts were searched for what looks like a secret; *** stands for what was found.',
    `The archive has ${limits.bytesMax} bytes at most, and ${limits.logBytes} of each log.`,
    ...(absent.length === 0 ? [] : ['', 'Not in it:', ...absent.map((text) => `  - ${text}`)]),
    '',
  ].join('\n');
}
