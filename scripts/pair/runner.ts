/**
 * Runs scenarios one after the other, each with a pair of its own that begins from a snapshot, and
 * tells what came of each. Always holds: a scenario that fails does not end the run; what explains
 * the failure is kept in a folder that is named; the same seed draws the same numbers for the same
 * scenario, whatever ran before it. Imports core, the pair and the story.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { ClientResult } from '../demo/client.ts';
import { AppliancePair } from './appliance-pair.ts';
import { keepEvidence } from './evidence.ts';
import { Meter } from './meter.ts';
import { openReady } from './snapshot.ts';
import { Story, Unexpected, type Scenario } from './story.ts';
import { PAIR_DIR, type PairWorkshop } from './workshop.ts';

/** What came of a scenario. */
export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly seed: string;
  readonly ok: boolean;
  /** Why it failed, in a sentence; null when it did not. */
  readonly failure: string | null;
  /** Folder with what explains a failure. */
  readonly evidence: string | null;
  /** Until the pair was ready for the story; a first time boots and saves it. */
  readonly readyS: number;
  /** The story itself, without that. */
  readonly seconds: number;
  /** Processor seconds of both machines in the story. */
  readonly processorS: number;
  /** Boots of each node in the story. */
  readonly boots: Readonly<Record<NodeId, number>>;
  readonly client: ClientResult | null;
  /** What was done and seen. */
  readonly lines: readonly string[];
}

/** A scenario that was loaded from its file. */
export interface NamedScenario {
  readonly name: string;
  readonly scenario: Scenario;
}

/** What every scenario of a run has in common. */
export interface RunContext {
  readonly workshop: PairWorkshop;
  readonly seed: string;
  /** Told what happens, line by line. */
  readonly say: (line: string) => void;
  /** Processor seconds of a control boot, with which times are judged; null = they are not. */
  readonly controlS: number | null;
  /** Ends the scenario that is played, as a failure. */
  readonly signal?: AbortSignal;
}

/** Loads a scenario file. Throws `file.unreadable` when it exports none. */
export async function loadScenario(file: string): Promise<NamedScenario> {
  let found: { readonly default?: Partial<Scenario> };
  try {
    found = (await import(pathToFileURL(file).href)) as typeof found;
  } catch (cause) {
    const message = `${file} cannot be loaded: ${asUpdateError(cause).message}`;
    throw new UpdateError('file.unreadable', message, { cause });
  }
  const { default: scenario } = found;
  if (typeof scenario?.play !== 'function' || typeof scenario.title !== 'string') {
    throw new UpdateError('file.unreadable', `${file} has no scenario as its default export`);
  }
  return { name: basename(file, '.ts'), scenario: scenario as Scenario };
}

/** Numbers from 0 up to 1 that follow from the words alone. */
export function randomFrom(words: string): () => number {
  let drawn = 0;
  return () => {
    drawn += 1;
    const sum = createHash('sha256').update(`${words} ${drawn}`).digest();
    return sum.readUInt32LE(0) / 2 ** 32;
  };
}

/** Runs one scenario to its end; never throws for what goes wrong in it. */
export async function runScenario(
  { name, scenario }: NamedScenario,
  { workshop, seed, say, controlS, signal }: RunContext,
): Promise<ScenarioResult> {
  const lines: string[] = [];
  const tell = (line: string): void => {
    lines.push(line);
    say(line);
  };
  const found = {
    failure: null as string | null,
    evidence: null as string | null,
    readyS: 0,
    seconds: 0,
    processorS: 0,
    boots: { A: 0, B: 0 },
    client: null as ClientResult | null,
  };
  const dir = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
  try {
    const startedMs = performance.now();
    const { settings = {}, begins, needs = [] } = scenario;
    for (const release of needs) await workshop.bundle(release);
    const options = { settings, workshop, dir, say: tell };
    await using pair = await (begins === 'off' ? AppliancePair.open(options) : openReady(options));
    const readyMs = performance.now();
    found.readyS = (readyMs - startedMs) / 1000;
    const { A, B } = pair.vms.machines;
    const before = { A: A.boots, B: B.boots };
    const meter = new Meter([A, B]);
    const story = new Story(pair, randomFrom(`${seed}/${name}`), tell, controlS);
    try {
      await untilAborted(scenario.play(story), signal);
      await story.close();
    } catch (error) {
      found.failure = error instanceof Unexpected ? error.message : asUpdateError(error).message;
      await story.close().catch(() => undefined);
      if (signal?.aborted !== true) {
        found.evidence = join(PAIR_DIR, 'failed', `${name}-${seed}-${String(Date.now())}`);
        await keepEvidence(pair, found.evidence);
      }
    }
    found.seconds = (performance.now() - readyMs) / 1000;
    found.processorS = meter.stop();
    found.boots = { A: A.boots - before.A, B: B.boots - before.B };
    found.client = story.writes;
  } catch (error) {
    found.failure ??= asUpdateError(error).message;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const ok = found.failure === null;
  return { name, title: scenario.title, seed, ok, ...found, lines };
}

/** What comes first: the end of a story, or the signal. */
async function untilAborted(story: Promise<void>, signal?: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new Unexpected('the run was interrupted'));
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  // Whichever comes second is nobody's affair any more.
  story.catch(() => undefined);
  promise.catch(() => undefined);
  try {
    await Promise.race([story, promise]);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** A result in one line for people; `controlS` is the control boot, or null. */
export function summaryOf(result: ScenarioResult, controlS: number | null): string {
  const { seconds, processorS, boots, readyS, client } = result;
  const times = controlS === null ? '' : `, ${(processorS / controlS).toFixed(1)} x control`;
  const gap = client === null ? '' : `, longest gap ${(client.longestGapMs / 1000).toFixed(1)} s`;
  const counted = NODES.map((node) => `${node} ${String(boots[node])}`).join(', ');
  return (
    `${seconds.toFixed(0)} s (${processorS.toFixed(0)} s of processor${times}), ` +
    `ready after ${readyS.toFixed(1)} s, boots: ${counted}${gap}`
  );
}
