/**
 * Views of the replicated storage: a comparison of both copies, and a split brain with what each
 * choice loses. Always holds: numbers stand with their units; text from outside is made harmless.
 * Pure; imports core and the pieces in render.ts.
 */
import { NODES, peerOf, type NodeId } from '../core/model.ts';
import type { Amount, Held, SplitSide, SplitView } from '../core/store.ts';
import type { StoreDifference, VerifyReport } from '../core/store.ts';
import { bytes, duration, plain, stamp, table, wrap, type RenderOptions } from './render.ts';

/** Keys that are shown; `--json` has more. */
const KEYS_SHOWN = 10;

const HELD: Readonly<Record<Held, string>> = {
  absent: 'absent',
  damaged: 'UNREADABLE',
  present: 'present',
};

const amountText = ({ records, bytes: size }: Amount): string =>
  `${records === 1 ? '1 record' : `${records} records`} (${bytes(size)})`;

function keyLines(
  keys: readonly StoreDifference[],
  total: number,
  options: RenderOptions,
): string[] {
  if (keys.length === 0) return [];
  const rows = keys
    .slice(0, KEYS_SHOWN)
    .map(({ key, A, B }) => [plain(key, options), HELD[A], HELD[B]]);
  const lines = table([['KEY', 'NODE A', 'NODE B'], ...rows], options);
  const more = total - rows.length;
  return more > 0 ? [...lines, `and ${more} more (see --json)`] : lines;
}

/** The newest comparison of both copies. */
export function renderVerify(report: VerifyReport, options: RenderOptions): string[] {
  const { state, differences, unsettled, startedAt, endedAt, rateBps, etaS } = report;
  const seen = amountText({ records: report.records, bytes: report.bytes });
  const rate = rateBps === null ? '' : `, ${bytes(rateBps)}/s`;
  const sentences: Readonly<Record<VerifyReport['state'], string>> = {
    running:
      `Verify since ${stamp(startedAt)}: ${seen} of ${bytes(report.totalBytes)} compared${rate}` +
      (etaS === null ? '' : `, ${duration(etaS)} left`),
    equal: `Verified ${stamp(endedAt ?? startedAt)}: ${seen}, no difference${rate}`,
    differs: `Verified ${stamp(endedAt ?? startedAt)}: ${seen}, ${differences} DIFFERENT${rate}`,
    repaired: `Verified ${stamp(startedAt)}: ${differences} different, made good by a resync`,
    failed: `Verify of ${stamp(startedAt)} failed: ${plain(report.message ?? 'unknown', options)}`,
    cancelled: `Verify of ${stamp(startedAt)} was cancelled`,
  };
  const lines = wrap(sentences[state], options.columns);
  if (unsettled > 0) {
    lines.push(...wrap(`${unsettled} changed all the time and were left out.`, options.columns));
  }
  if (state !== 'differs') return lines;
  lines.push(...keyLines(report.keys, differences, options));
  return [...lines, ...wrap(`Next: ${remedy(report)}`, options.columns)];
}

function remedy({ node, damaged }: VerifyReport): string {
  const standby = peerOf(node);
  const resync = `\`tandem storage resync\` makes node ${standby}'s copy equal to node ${node}'s.`;
  if (damaged[node] === 0) return resync;
  return (
    `records of node ${node} cannot be read: \`tandem switchover\` first, then ` +
    '`tandem storage verify` and `tandem storage resync`.'
  );
}

const since = ({ aloneSince }: SplitSide): string =>
  aloneSince === null ? 'unknown' : stamp(aloneSince);

/** Both copies of a split brain beside each other. */
export function renderSplit(split: SplitView, options: RenderOptions): string[] {
  const row = (name: string, cell: (side: SplitSide) => string): readonly string[] => [
    name,
    ...NODES.map((node) => cell(split[node])),
  ];
  const rows = [
    ['', 'NODE A', 'NODE B'],
    row('written alone since', since),
    row('holds', ({ all }) => amountText(all)),
    row('only here', ({ only }) => amountText(only)),
    row('with other content', ({ other }) => amountText(other)),
  ];
  const text =
    'SPLIT BRAIN: both copies were written alone. Neither node serves until one copy is kept.';
  const next =
    'Next: `tandem storage resolve --keep A` or `--keep B`. What only the other copy has is ' +
    'saved to a file on its node first.';
  return [
    ...wrap(text, options.columns),
    ...table(rows, options),
    ...keyLines(split.keys, split.keys.length, options),
    ...wrap(next, options.columns),
  ];
}

/** What keeping the copy of a node loses. */
export function renderChoice(split: SplitView, keep: NodeId, options: RenderOptions): string[] {
  const lost = peerOf(keep);
  const { only, other } = split[lost];
  const lines = [
    `The copy of node ${keep} is kept; node ${keep} serves.`,
    `- ${amountText(only)} that only node ${lost} has, and ${amountText(other)} whose content is ` +
      `another one on node ${keep}, are saved to a file on node ${lost} and leave the storage.`,
    `- What was deleted only on node ${lost} comes back.`,
    '- There is no high availability until both copies are level.',
  ];
  return lines.flatMap((line) => wrap(line, options.columns));
}
