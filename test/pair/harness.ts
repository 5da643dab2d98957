/**
 * A bench with a real pair: two appliances under their supervisors with real images and slots, the
 * real daemons, storage software, workload and command line, and a client that works all the time.
 * Always holds: whatever becomes of the test, its processes end and its folder goes away, because
 * supervisors and cleaner end with the test's process; images and bundles come from the demo's
 * cache; only processes that the bench started are killed, by their ids. Imports core, control and
 * the demo's parts.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { createPair, type AppliancePair, type PairSpec } from '../../scripts/appliance.ts';
import { DemoClient, type ClientResult } from '../../scripts/demo/client.ts';
import { RunningPair } from '../../scripts/demo/pair.ts';
import { FIRST, scenarioOf } from '../../scripts/demo/scenarios.ts';
import {
  HARDWARE,
  openWorkshop,
  PRODUCT,
  type DemoRelease,
  type Workshop,
} from '../../scripts/demo/workshop.ts';
import { runCommand, type Command, type Finished } from '../../scripts/pair/command.ts';
import { Watch } from '../../scripts/pair/watch.ts';
import { askPower, type PowerVerb } from '../../scripts/supervisor/power-client.ts';
import { FAILPOINT_FILE } from '../../scripts/supervisor/settings.ts';
import { ControlClient } from '../../src/control/client.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import { parseFailpoint } from '../../src/drivers/failpoints.ts';

export { jsonLines, runCommand, type Command, type Finished } from '../../scripts/pair/command.ts';

/** Releases that stories install; their images are those of the demo. */
export const RELEASES = {
  first: FIRST,
  /** 2.0.0, good; its storage software runs under 1.0.0 too. */
  second: scenarioOf('none')!.release,
  /** 2.0.0 that is healthy on node A and never on node B. */
  notOnB: scenarioOf('standby')!.release,
} as const;

/** As short as it makes sense: what a trial and a soak wait for is in other tests. */
export const SHORT_POLICY: PairSpec['policy'] = {
  tries: 2,
  stableS: 1,
  soakS: 1,
  deadmanS: 60,
  retries: 0,
  onSecondFailure: 'hold',
};

/** Longest wait for the pair to find itself; no test measures time by it. */
export const READY_MS = 90_000;
/** The command line gives up after this time, so that it never outlives a killed test. */
const COMMAND_S = '200';

/** What a bench may be told beside the defaults. */
export interface BenchOptions {
  readonly policy?: PairSpec['policy'];
  /** Where programs, images and bundles come from; default: this tree, with its demo's cache. */
  readonly workshop?: Workshop;
  /** What the factory installs; default: release 1.0.0 of the demo. */
  readonly first?: DemoRelease;
  /** What decides whether a standby takes over by itself; default `manual`. */
  readonly fencePolicy?: PairSpec['fencePolicy'];
  /** Lets `arm` reach the daemons (src/drivers/failpoints.ts). */
  readonly failpoints?: boolean;
  /** Called when the pair is laid out and before it is switched on. */
  readonly prepare?: (pair: AppliancePair) => Promise<void>;
}

/** A running pair with everything that a story needs. */
export class Bench {
  readonly dir: string;
  readonly workshop: Workshop;
  readonly pair: AppliancePair;
  readonly running: RunningPair;
  readonly watch: Watch;
  readonly #cleaner: ChildProcess;
  readonly #ended = new AbortController();
  readonly #bundles = new Map<DemoRelease, Promise<string>>();
  #client: DemoClient | null = null;
  #clients = 0;

  private constructor(dir: string, cleaner: ChildProcess, workshop: Workshop, pair: AppliancePair) {
    this.dir = dir;
    this.#cleaner = cleaner;
    this.workshop = workshop;
    this.pair = pair;
    this.running = new RunningPair(pair, workshop.programs.tandem);
    this.watch = new Watch(pair);
  }

  /** Lays out a pair with release 1.0.0, switches it on and waits until it is available. */
  static async open(t: Test, options: BenchOptions = {}): Promise<Bench> {
    const dir = await mkdtemp(join(tmpdir(), 'tandem-pair-'));
    const cleaner = startCleaner(dir);
    let bench: Bench | null = null;
    t.teardown(async () => {
      await bench?.close(t.passing());
      await endCleaner(cleaner);
    });
    const workshop = options.workshop ?? (await openWorkshop());
    const first = options.first ?? FIRST;
    const trustRoot = join(dir, 'root.json');
    await workshop.trustRoot(trustRoot);
    const systemImage = await workshop.systemImage(first);
    const storageImage = await workshop.storageImage(first);
    const policy = { ...SHORT_POLICY, ...options.policy };
    const words = { product: PRODUCT, hardware: HARDWARE, policy, trustRoot };
    const fence = options.fencePolicy === undefined ? {} : { fencePolicy: options.fencePolicy };
    const spec = { dir, ...words, ...fence, systemImage, storageImage };
    const pair = await createPair(spec, AbortSignal.timeout(READY_MS));
    bench = new Bench(dir, cleaner, workshop, pair);
    await options.prepare?.(pair);
    await bench.running.start(...(options.failpoints === true ? ['--failpoints'] : []));
    bench.watch.start();
    return bench;
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Path of the signed bundle of a release; made once. */
  async bundle(release: DemoRelease): Promise<string> {
    const known = this.#bundles.get(release);
    if (known !== undefined) return known;
    const file = join(this.dir, `update-${String(this.#bundles.size)}.bin`);
    const made = this.workshop.bundle(release, file).then(() => file);
    this.#bundles.set(release, made);
    return made;
  }

  /** Starts the real command line against a node. */
  start(node: NodeId, ...args: readonly string[]): Command {
    const [program, ...rest] = this.running.commandLine(node, ...args);
    return runCommand(program!, rest);
  }

  /** Runs the command line to its end. */
  async cli(node: NodeId, ...args: readonly string[]): Promise<Finished> {
    return this.start(node, ...args).done;
  }

  /** Waits for the end of an update, asked for on `node`. */
  update(node: NodeId, file: string, ...more: readonly string[]): Command {
    return this.start(node, 'update', file, '--wait', '--yes', '--timeout', COMMAND_S, ...more);
  }

  /** What is waited for while a command runs; throws with its words when it ends before. */
  async during<T>(command: Command, waiting: Promise<T>): Promise<T> {
    const early = command.done.then(({ exit, stdout, stderr }): never => {
      throw new Error(`the command ended before, with ${String(exit)}: ${stdout}${stderr}`);
    });
    return Promise.race([waiting, early]);
  }

  /** Asks the supervisor of a node; throws when it refuses. */
  async power(node: NodeId, verb: PowerVerb): Promise<void> {
    const reply = await askPower(this.pair.nodes[node].powerSocket, verb);
    if (!reply.ok) throw new Error(`node ${node}, ${verb}: ${reply.error}`);
  }

  /** Arms a failpoint of a node; null disarms it. Throws for a line that is none. */
  async arm(node: NodeId, line: string | null): Promise<void> {
    const file = join(this.pair.nodes[node].dir, FAILPOINT_FILE);
    if (line === null) return rm(file, { force: true });
    parseFailpoint(line);
    await writeFile(`${file}.new`, line);
    await rename(`${file}.new`, file);
  }

  /** True while the failpoint of a node has not struck. */
  armed(node: NodeId): boolean {
    return existsSync(join(this.pair.nodes[node].dir, FAILPOINT_FILE));
  }

  /** Rollouts, newest first, as a node knows them. */
  async history(node: NodeId): Promise<readonly RolloutRecord[]> {
    return new ControlClient(this.pair.nodes[node].controlSocket).history(10, this.signal);
  }

  /** A client of the service that works until `checkClient`. */
  startClient(): void {
    this.#clients += 1;
    this.#client = new DemoClient(this.pair.serviceUrl, `client-${String(this.#clients)}`);
    this.#client.start();
  }

  /** Ends the client and reads everything back that was acknowledged. */
  async checkClient(): Promise<ClientResult> {
    const client = this.#client;
    if (client === null) throw new Error('no client was started');
    this.#client = null;
    return client.finish(AbortSignal.timeout(READY_MS));
  }

  /** Ends everything; after a failure the ends of the logs are told first. */
  async close(good = true): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#client?.stop();
    await this.watch.stop();
    if (!good) await this.#tellLogs();
    await this.running.stop();
    await endCleaner(this.#cleaner);
  }

  async #tellLogs(): Promise<void> {
    for (const line of this.watch.lines.slice(-60)) process.stdout.write(`# ${line}\n`);
    for (const node of NODES) {
      const { bootLog, consoleLog } = this.pair.nodes[node];
      for (const file of [bootLog, consoleLog]) {
        const text = await readFile(file, 'utf8').catch(() => '(there is none)');
        process.stdout.write(`# --- end of ${file}\n`);
        const lines = text.trimEnd().split('\n').slice(-25);
        for (const line of lines) process.stdout.write(`# ${line}\n`);
      }
    }
  }
}

/**
 * Removes the folder when its standard input ends, that is, at the latest with this process, and
 * after the supervisors, which end then too.
 */
function startCleaner(dir: string): ChildProcess {
  const script =
    'cat >/dev/null; for i in $(seq 200); do' +
    ' [ -e "$0/A/power.sock" ] || [ -e "$0/B/power.sock" ] || break; sleep 0.1; done;' +
    ' for m in "$0"/*/state; do mountpoint -q "$m" && umount -l "$m"; done; rm -rf -- "$0"';
  return spawn('sh', ['-c', script, dir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

async function endCleaner(cleaner: ChildProcess): Promise<void> {
  if (cleaner.exitCode !== null) return;
  const ended = once(cleaner, 'exit');
  cleaner.stdin?.end();
  await ended;
}
