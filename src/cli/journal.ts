/**
 * The verbs `journal show` and `journal repair`: for the moment in which the daemon has said that
 * its journal is damaged, so both work without it, on the state directory itself. Always holds:
 * `show` changes nothing, also while a daemon writes; `repair` writes only while it holds the lock
 * of the state directory, and only to a journal that is damaged. Imports core, and lazily the
 * configuration and the drivers of journal and lock.
 */
import { resolve } from 'node:path';
import { EXIT } from '../core/codes.ts';
import type { JournalEntry, Replay } from '../core/journal.ts';
import type { NodeRecord, RolloutRecord } from '../core/records.ts';
import { flag, printJson, printLines, text, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 10_000;

const PLACE_OPTIONS = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'Configuration that names the state directory; default TANDEM_CONFIG.',
  },
  'state-dir': {
    type: 'string',
    value: 'DIR',
    help: 'The state directory itself; no configuration is read then.',
  },
} as const satisfies Record<string, VerbOption>;

async function stateDirOf(values: VerbValues, io: CliIo): Promise<string> {
  const given = text(values, 'state-dir');
  if (given !== undefined) return resolve(given);
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  const file = text(values, 'config') ?? (io.env['TANDEM_CONFIG'] || CONFIG_PATH);
  return (await loadConfig(file)).stateDir;
}

async function show(_: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const limit = wholeNumber(values, 'limit', { min: 1, max: LIMIT_MAX }) ?? LIMIT_DEFAULT;
  const stateDir = await stateDirOf(values, io);
  const { inspectJournal } = await import('../drivers/journal-file.ts');
  const replay = await inspectJournal(stateDir);
  const shown = replay.entries.slice(-limit);
  if (flag(values, 'json')) {
    const { torn, damage, newerSchema, cursor } = replay;
    const records = shown.map(({ seq, kind, record }) => ({ seq, kind, record }));
    const { generation } = cursor;
    const good = replay.entries.length;
    printJson(io, { stateDir, generation, good, torn, damage, newerSchema, records });
  } else {
    printLines(io, [...shown.map(lineOf), ...summaryOf(stateDir, replay)]);
  }
  return replay.damage === null && replay.newerSchema === null ? EXIT.done : EXIT.internal;
}

async function repair(_: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const stateDir = await stateDirOf(values, io);
  const { lockState } = await import('../drivers/state-lock.ts');
  const { inspectJournal, openJournal } = await import('../drivers/journal-file.ts');
  await using held = new AsyncDisposableStack();
  held.use(await lockState(stateDir));
  // First of all a look, so that a wrong directory does not get a journal of its own.
  const { damage } = await inspectJournal(stateDir);
  const journal = held.use(await openJournal(stateDir));
  const { kept, droppedBytes } = await journal.repair();
  if (flag(values, 'json')) {
    printJson(io, { stateDir, damaged: damage !== null, kept, droppedBytes });
  } else if (damage === null) {
    printLines(io, [`The journal is not damaged (${kept} records); nothing was changed.`]);
  } else {
    const place = `journal.${damage.file} at byte ${damage.offset}`;
    printLines(io, [
      `Repaired: ${damage.found} in ${place}.`,
      `${kept} records are kept, ${droppedBytes} bytes behind the damage are given up.`,
      'Start the daemon; it observes the node and goes on from the last good records.',
    ]);
  }
  return EXIT.done;
}

function summaryOf(stateDir: string, replay: Replay): readonly string[] {
  const { entries, cursor, torn, damage, newerSchema } = replay;
  const lines = [
    `${entries.length} records in ${stateDir}, generation ${cursor.generation} of the journal`,
  ];
  if (torn) lines.push('The last record is torn: a power cut; the next start drops it.');
  if (newerSchema !== null) {
    lines.push(`Records of schema ${newerSchema}: a newer program wrote them; nothing is written.`);
  }
  if (damage !== null) {
    const place = `journal.${damage.file} at byte ${damage.offset}`;
    lines.push(`DAMAGED: ${damage.found} in ${place}. Stop the daemon, run tandem journal repair.`);
  }
  return lines;
}

function lineOf(entry: JournalEntry): string {
  return `${String(entry.seq).padStart(8)}  ${entry.kind.padEnd(8)} ${wordsOf(entry)}`;
}

/** What a record says in a few words. Records may be of another program: every field may lack. */
function wordsOf({ kind, record }: JournalEntry): string {
  if (kind === 'node') {
    const { node, update, slots, role, standDown } = record as Partial<NodeRecord>;
    const trial = slots?.trial ? `, trial ${slots.trial.id} of slot ${slots.trial.slot}` : '';
    const down = standDown ? ', stood down' : '';
    const epoch = `epoch ${role?.epoch ?? '?'} held by ${role?.holder ?? '?'}`;
    const booted = `booted ${slots?.booted ?? '?'}, default ${slots?.default ?? '?'}`;
    return `node ${node ?? '?'} ${update?.state ?? '?'}: ${booted}${trial}, ${epoch}${down}`;
  }
  if (kind === 'rollout') {
    const { id, phase, to, writer } = record as Partial<RolloutRecord>;
    const order = `writer ${writer?.epoch ?? '?'}.${writer?.seq ?? '?'}`;
    return `${id ?? '?'} to ${to?.version ?? '?'}: ${phase ?? '?'}, ${order}`;
  }
  return `schema ${record.schema}`;
}

/** The verbs of a damaged journal. */
export const journalVerbs: readonly Verb[] = [
  {
    name: 'journal show',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show the last records of this node, and whether its journal is damaged.',
    example: 'tandem journal show --limit 50',
    options: {
      ...PLACE_OPTIONS,
      limit: { type: 'string', value: 'N', help: `Records to show; default ${LIMIT_DEFAULT}.` },
    },
    run: show,
  },
  {
    name: 'journal repair',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Cut a damaged journal back to its last good records; the daemon must not run.',
    example: 'tandem journal repair --state-dir /var/lib/tandem',
    options: PLACE_OPTIONS,
    run: repair,
  },
];
