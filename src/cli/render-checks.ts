/**
 * Views of a dry run, an estimate, the audit log, and how long the pair reforms. Always holds: each
 * check that is not ok stands with its fix; an estimate says what it is based on. Pure; imports
 * core and the pieces in render.ts.
 */
import { adviceOf } from '../core/errors.ts';
import type { AuditEntry, Estimate, PrecheckReport, PrecheckRow } from '../core/operator.ts';
import type { PairStatus } from '../core/status.ts';
import { duration, mark, plain, stamp, table, wrap } from './render.ts';
import type { Mark, RenderOptions } from './render.ts';

const MARKS: Readonly<Record<PrecheckRow['result'], Mark>> = {
  ok: 'done',
  failed: 'failed',
  warning: 'now',
  unknown: 'todo',
};

/** `tandem update --dry-run`: every check with its fix, then the verdict. */
export function renderPrecheck(report: PrecheckReport, options: RenderOptions): string[] {
  const width = Math.max(0, ...report.checks.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 5);
  const checks = report.checks.flatMap(({ name, result, code, detail, fix }) => {
    const word = result === 'ok' ? '' : `${result}: `;
    const text = `${word}${plain(detail, options)}${code === null ? '' : ` (${code})`}`;
    const [first = '', ...more] = wrap(text, options.columns, indent);
    const fixes = fix === null ? [] : wrap(`Fix: ${plain(fix, options)}`, options.columns, indent);
    const head = `${mark(MARKS[result], options)} ${name.padEnd(width)} ${first.trimStart()}`;
    return [head, ...more, ...fixes];
  });
  const verdict = report.ok ? 'The update may begin' : 'The update is refused';
  const text = `${verdict}: ${plain(report.message, options)}`;
  const lines = [...checks, ...wrap(text, options.columns)];
  if (report.code !== null) lines.push(`(${report.code}, exit ${adviceOf(report.code).exit})`);
  return lines;
}

/** `tandem update --estimate`: seconds of each phase, and what they are based on. */
export function renderEstimate(estimate: Estimate | null, options: RenderOptions): string[] {
  if (estimate === null) return ['There is no estimate while the bundle is refused.'];
  const rows = estimate.phases.map(({ phase, seconds }) => [phase, duration(seconds)]);
  return [
    ...table([...rows, ['in all', duration(estimate.totalS)]], options),
    ...wrap(`Based on ${plain(estimate.text, options)}.`, options.columns),
  ];
}

/** How a name was proved, for people; on the control socket it was not. */
const VIA: Readonly<Record<NonNullable<AuditEntry['via']>, string>> = {
  control: '',
  console: ', logged in',
  remote: ', by certificate',
};

/** `tandem history --audit`: who asked for what, when, why, and how it ended. */
export function renderAudit(entries: readonly AuditEntry[], options: RenderOptions): string[] {
  if (entries.length === 0) return ['Nothing was asked of this node yet.'];
  return entries.flatMap((entry) => {
    const why = entry.reason === null ? '' : ` (${plain(entry.reason, options)})`;
    const code = entry.code === null ? '' : ` [${entry.code}]`;
    // On the console socket the name was proved by a login, else it is what the caller said.
    const by = `${plain(entry.by, options)}${VIA[entry.via ?? 'control']}`;
    const head = `${stamp(entry.at)}  ${plain(entry.act, options)} by ${by}`;
    const end = `${entry.result}: ${plain(entry.message, options)}${code}`;
    return [...wrap(`${head}${why}`, options.columns), ...wrap(end, options.columns, '    ')];
  });
}

/** How long the pair has been reforming, and how long it will take as far as that is known. */
export function renderReforming({ reforming }: PairStatus, options: RenderOptions): string[] {
  if (reforming == null) return [];
  const { elapsedS, estimateS } = reforming;
  const whole = estimateS === null ? 'not known yet' : duration(estimateS);
  const text = `Not highly available for ${duration(elapsedS)}; estimated in all: ${whole}`;
  return wrap(text, options.columns);
}
