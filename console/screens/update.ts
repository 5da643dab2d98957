/**
 * The update: a bundle is chosen, the pair is checked with it, it runs, it ends. Always holds: the
 * checks stand with their fixes before anything can be started; while it runs the screen says what
 * is possible now, and after a failure what state was left and what to do next. Pure; imports core
 * and the pieces of the views.
 */
import { duration, mark, plain, stamp, wrap } from '../../src/cli/render.ts';
import type { Mark, RenderOptions } from '../../src/cli/render.ts';
import { phaseWords, renderProgress } from '../../src/cli/render-rollout.ts';
import { adviceOf } from '../../src/core/errors.ts';
import { NODES } from '../../src/core/model.ts';
import type { Estimate, PrecheckRow } from '../../src/core/operator.ts';
import type { PairStatus, RolloutStatus } from '../../src/core/status.ts';
import { refusalOf, roleRefusal } from '../actions.ts';
import { freshStatus, runningRollout } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line, type Style } from '../picture.ts';
import { sourceWord } from '../plans.ts';
import type { Body, HotKey, Screen, State, Target } from '../state.ts';
import { actionLines, alarmLines, latestLines, pauseLines, UNKNOWN } from './words.ts';

function chooseBody(state: State, options: RenderOptions): Body {
  const { bundles } = state;
  const lines: Line[] = [
    plainLine('Which bundle? Nothing is changed before you confirm it.'),
    [],
    ...actionLines(chooseKeys(state), options),
    [],
  ];
  if (bundles === null) return { lines: [...lines, plainLine('Looking for bundles ...')] };
  if (bundles.length === 0) {
    const text = 'No bundle was found on removable media or in the history. Type its path with T.';
    return { lines: [...lines, ...plainLines(wrap(text, options.columns))] };
  }
  const rows = bundles.map((_, index) => lines.length + index);
  for (const [index, { name, note }] of bundles.entries()) {
    const chosen = index === state.chosen;
    // Only the sign moves with the choice: names are long, and a line may be slow.
    const sign = chosen ? span('>', 'chosen') : ' ';
    lines.push(lineOf(sign, ` ${index + 1}  ${plain(name, options)}  ${plain(note, options)}`));
  }
  return { lines, rows };
}

function chooseKeys({ facts }: State): readonly HotKey[] {
  const last: HotKey = {
    letter: 'P',
    label: 'Progress and outcome of the last update',
    target: { go: 'progress' },
    refusal: freshStatus(facts)?.rollout == null ? 'there was none' : null,
  };
  const path: HotKey = {
    letter: 'T',
    label: 'Type the path of a bundle on this node',
    target: { open: { use: 'path' } },
    refusal: roleRefusal('update', facts),
  };
  return [path, last];
}

function chosenBundle({ bundles, chosen }: State): Target | null {
  const bundle = bundles?.[chosen];
  if (bundle === undefined) return null;
  const words = 'Reading and checking the bundle; Esc leaves it';
  return { ask: { ask: 'check', source: bundle.source }, words };
}

const MARKS: Readonly<Record<PrecheckRow['result'], readonly [Mark, Style]>> = {
  ok: ['done', 'good'],
  failed: ['failed', 'bad'],
  warning: ['now', 'warn'],
  unknown: ['todo', 'warn'],
};

function checkLines(row: PrecheckRow, width: number, options: RenderOptions): readonly Line[] {
  const [kind, style] = MARKS[row.result];
  const indent = ' '.repeat(width + 5);
  const code = row.code === null ? '' : ` (${row.code})`;
  const word = row.result === 'ok' ? '' : `${row.result}: `;
  const text = `${word}${plain(row.detail, options)}${code}`;
  const [first = '', ...more] = wrap(text, options.columns, indent);
  const fixes =
    row.fix === null ? [] : wrap(`Fix: ${plain(row.fix, options)}`, options.columns, indent);
  const name = ` ${row.name.padEnd(width)} ${first.trimStart()}`;
  return [lineOf(span(mark(kind, options), style), name), ...plainLines([...more, ...fixes])];
}

function estimateLines(estimate: Estimate | null, options: RenderOptions): readonly Line[] {
  if (estimate === null) return [];
  const text = `It will take about ${duration(estimate.totalS)}, from ${estimate.text}.`;
  return plainLines(wrap(plain(text, options), options.columns));
}

function refusedLines(message: string, { columns }: RenderOptions): readonly Line[] {
  const word = 'The update is refused';
  const [first = '', ...more] = wrap(`${word}: ${message}`, columns);
  return [lineOf(span(word, 'bad'), first.slice(word.length)), ...plainLines(more)];
}

function checksBody(state: State, options: RenderOptions): Body {
  const { checks, source } = state;
  if (checks === null || source === null) return { lines: [plainLine('Nothing was checked yet.')] };
  const width = Math.max(0, ...checks.checks.map(({ name }) => name.length));
  const head = plain(`${checks.version ?? UNKNOWN}  ${sourceWord(source)}`, options);
  const verdict = checks.ok
    ? [lineOf(span('The update may begin.', 'good'), ' Service goes on; nodes restart one by one.')]
    : [
        ...refusedLines(plain(checks.message, options), options),
        ...(checks.next === null
          ? []
          : plainLines(wrap(`Next: ${plain(checks.next, options)}`, options.columns))),
      ];
  // What stands in the way is read first.
  const rows = [
    ...checks.checks.filter(({ result }) => result === 'failed'),
    ...checks.checks.filter(({ result }) => result !== 'failed'),
  ];
  return {
    lines: [
      lineOf(span(head, 'strong')),
      [],
      ...verdict,
      ...estimateLines(checks.estimate, options),
      ...actionLines(checksKeys(state), options),
      [],
      ...rows.flatMap((row) => checkLines(row, width, options)),
    ],
  };
}

function checksKeys({ facts, checks, source }: State): readonly HotKey[] {
  if (source === null) return [];
  const again: HotKey = {
    letter: 'A',
    label: 'Check again',
    target: { ask: { ask: 'check', source }, words: 'Checking again; Esc leaves it' },
    refusal: null,
  };
  if (checks === null) return [again];
  const refusal = checks.ok ? refusalOf('update', facts) : 'a check has failed';
  const plan = { do: 'update', source, version: checks.version ?? UNKNOWN } as const;
  return [{ letter: 'S', label: 'Start the update', target: { plan }, refusal }, again];
}

/** What the person may count on at this moment, in one line. */
function serviceLine(status: PairStatus, { kind }: RolloutStatus): Line {
  const serves = NODES.some((id) => status.nodes[id].serving);
  const known = serves || NODES.every((id) => status.nodes[id].known);
  const service = status.ha.ok
    ? span('Service goes on.', 'good')
    : span(known ? 'NO high availability now.' : 'Who serves is not known now.', 'warn');
  return lineOf(service, ` This console may be unplugged; the ${kind} goes on.`);
}

/** The view of the command line, without what this screen says elsewhere, or would cut. */
function rolloutLines(
  status: PairStatus,
  rollout: RolloutStatus,
  options: RenderOptions,
): readonly string[] {
  const quiet = { ...status, ha: { ...status.ha, text: '' } };
  const rest = renderProgress(quiet, options);
  const kind = rollout.kind === 'update' ? 'Update' : 'Rollback';
  const what = `${kind} to ${plain(rollout.version, options)}`;
  const head = `${what}: ${phaseWords(rollout.phase, rollout)}`;
  return [head, ...rest.filter((text) => !/^(High availability: *)?$/.test(text))];
}

function outcomeLines(rollout: RolloutStatus, options: RenderOptions): readonly Line[] {
  const { result, phase } = rollout;
  const word = span(phase, phase === 'DONE' ? 'good' : 'bad');
  const left: Readonly<Record<string, string>> = {
    DONE: `Both nodes run ${rollout.version}.`,
    FAILED: 'Both nodes run the old version; the second node was never touched.',
    ROLLED_BACK: 'Both nodes run the old version again.',
    HOLD_MIXED: 'The nodes run two versions; update again, or roll back at [S] Slots.',
    CANCELLED: 'Both nodes run the old version; nothing is left to undo.',
  };
  const indent = ' '.repeat(phase.length + 2);
  const [first = '', ...more] = wrap(left[phase] ?? '', options.columns - indent.length);
  const lines: Line[] = [
    lineOf(word, `  ${first}`),
    ...more.map((rest) => plainLine(indent + rest)),
  ];
  const until = rollout.holdUntil ?? null;
  if (until !== null)
    lines.push(plainLine(`  A person has to decide until ${stamp(until, options)}.`));
  if (result !== null) {
    const { next } = adviceOf(result.code);
    lines.push(
      ...plainLines(wrap(`Why: ${plain(result.message, options)}`, options.columns, '  ')),
      ...plainLines(wrap(`Next: ${next}`, options.columns, '  ')),
      plainLine(`  event ${result.code} of ${rollout.id}`),
    );
  } else if (phase === 'DONE' && !rollout.finalized) {
    const text =
      rollout.kind === 'update'
        ? 'The version of before is kept: [S] Slots returns to it, or gives it up.'
        : 'The other version starts no more: [U] Update installs one.';
    lines.push(...plainLines(wrap(text, options.columns, '  ')));
  }
  return lines;
}

function progressBody(state: State, options: RenderOptions): Body {
  const status = freshStatus(state.facts);
  if (status === null) return { lines: [lineOf(span(UNKNOWN, 'warn'))] };
  const { rollout } = status;
  if (state.job !== null && rollout?.id !== state.job) {
    return { lines: [plainLine(`${plain(state.job, options)} begins ...`)] };
  }
  if (rollout === null) return { lines: [plainLine('No update has run on this pair yet.')] };
  if (rollout.ended) {
    // Its last line is the outcome, which stands above.
    const view = rolloutLines(status, rollout, options).slice(0, -1);
    const lines = [...outcomeLines(rollout, options), [], ...plainLines(view)];
    return { lines: [...lines, ...alarmLines(status, options)] };
  }
  return {
    lines: [
      ...plainLines(rolloutLines(status, rollout, options)),
      serviceLine(status, rollout),
      ...pauseLines(rollout, '[G]', options),
      ...latestLines(state.facts, options),
      ...alarmLines(status, options),
    ],
  };
}

function progressKeys({ facts }: State): readonly HotKey[] {
  const rollout = runningRollout(facts);
  const slots: HotKey = { letter: 'S', label: 'Slots', target: { go: 'slots' }, refusal: null };
  const log: HotKey = { letter: 'L', label: 'Log', target: { go: 'log' }, refusal: null };
  if (rollout === null) {
    return [
      { letter: 'U', label: 'Update again', target: { go: 'choose' }, refusal: null },
      slots,
      log,
    ];
  }
  const rests = rollout.paused != null;
  const pause: HotKey = rests
    ? {
        letter: 'G',
        label: 'Go on',
        target: { plan: { do: 'resume' } },
        refusal: refusalOf('resume', facts),
      }
    : {
        letter: 'P',
        label: 'Pause',
        target: { plan: { do: 'pause' } },
        refusal: refusalOf('pause', facts),
      };
  const plan = { do: 'cancel', job: rollout.id, version: rollout.version } as const;
  const cancel: HotKey = {
    letter: 'X',
    label: 'Cancel',
    target: { plan },
    refusal: refusalOf('cancel', facts),
  };
  return [
    pause,
    cancel,
    { letter: 'C', label: 'Cluster', target: { go: 'cluster' }, refusal: null },
    log,
  ];
}

/** Which bundle. */
export const choose: Screen = {
  title: 'Update: choose a bundle',
  body: chooseBody,
  keys: chooseKeys,
  enter: chosenBundle,
};
/** What the checks say. */
export const checks: Screen = {
  title: 'Update: checks',
  body: checksBody,
  keys: checksKeys,
};
/** How far it is, and how it ended. */
export const progress: Screen = { title: 'Update', body: progressBody, keys: progressKeys };
