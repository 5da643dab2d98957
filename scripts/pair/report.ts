/**
 * Results of scenarios for machines: TAP version 14 on the way, JUnit XML at the end, and a store
 * that lets a long run go on where it was. Always holds: a result counts only for the content of
 * the images and the seed that it was found with. Imports core and the runner's types.
 */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../src/drivers/fs-atomic.ts';
import { summaryOf, type ScenarioResult } from './runner.ts';
import { PAIR_DIR } from './workshop.ts';

const RESULTS_DIR = join(PAIR_DIR, 'results');

/** The lines of TAP for one result, the `number`-th of a run. */
export function tapOf(result: ScenarioResult, number: number, controlS: number | null): string {
  const { ok, name, title, failure, evidence } = result;
  const words = `${name} - ${title}`.replaceAll('#', '\\#');
  const head = `${ok ? 'ok' : 'not ok'} ${String(number)} - ${words}\n`;
  const details: Record<string, string> = { took: summaryOf(result, controlS) };
  if (failure !== null) details['message'] = failure;
  if (evidence !== null) details['evidence'] = evidence;
  const yaml = Object.entries(details).map(([key, text]) => `  ${key}: ${JSON.stringify(text)}\n`);
  return `${head}  ---\n${yaml.join('')}  ...\n`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Text as XML takes it: what no XML may hold is left out. */
function xml(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what XML 1.0 forbids (production Char)
  const legal = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');
  return legal.replaceAll(/[&<>"]/g, (char) => ESCAPES[char] ?? '');
}

/** A run as JUnit XML, the dialect that build servers read. */
export function junitOf(results: readonly ScenarioResult[]): string {
  const cases = results.map((result) => {
    const { name, title, seconds, failure, evidence, lines } = result;
    const words = xml(`${name}: ${title}`);
    const about = `name="${words}" classname="pair" time="${seconds.toFixed(1)}"`;
    const why = evidence === null ? failure : `${failure ?? ''}\nkept in ${evidence}`;
    const failed =
      failure === null ? '' : `<failure message="${xml(failure)}">${xml(why ?? '')}</failure>`;
    const said = `<system-out>${xml(lines.join('\n'))}</system-out>`;
    return `    <testcase ${about}>${failed}${said}</testcase>`;
  });
  const failures = results.filter((result) => !result.ok).length;
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
  const counts =
    `tests="${String(results.length)}" failures="${String(failures)}" errors="0" ` +
    `time="${seconds.toFixed(1)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="pair" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** Results of one content and seed, by scenario; only good ones are taken for done. */
export class ResultStore {
  readonly #file: string;
  readonly #known: Map<string, ScenarioResult>;

  private constructor(file: string, known: Map<string, ScenarioResult>) {
    this.#file = file;
    this.#known = known;
  }

  /** Opens what earlier runs have left. */
  static async open(digest: string, seed: string, dir = RESULTS_DIR): Promise<ResultStore> {
    await mkdir(dir, { recursive: true });
    const file = join(dir, `${digest}-${seed}.json`);
    const text = await readFile(file, 'utf8').catch(() => '[]');
    const all = JSON.parse(text) as readonly ScenarioResult[];
    return new ResultStore(file, new Map(all.map((one) => [one.name, one])));
  }

  /** The seed of the last run with this content, or null. */
  static async lastSeed(digest: string, dir = RESULTS_DIR): Promise<string | null> {
    const names = await readdir(dir).catch(() => []);
    const own = names.filter((name) => name.startsWith(`${digest}-`) && name.endsWith('.json'));
    const times = await Promise.all(own.map(async (name) => (await stat(join(dir, name))).mtimeMs));
    const last = own[times.indexOf(Math.max(...times))];
    return last === undefined ? null : last.slice(digest.length + 1, -'.json'.length);
  }

  /** The good result of a scenario, or null. */
  done(name: string): ScenarioResult | null {
    const known = this.#known.get(name);
    return known?.ok === true ? known : null;
  }

  /** Keeps a result, durably. */
  async keep(result: ScenarioResult): Promise<void> {
    this.#known.set(result.name, result);
    await writeFileAtomic(this.#file, JSON.stringify([...this.#known.values()]));
  }
}
