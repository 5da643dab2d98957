/**
 * A daemon in memory in a process of its own, for the bench of the console: the real server on a
 * socket, an update that goes on each second, and how late its event loop runs. Started by the
 * bench alone. Imports the daemon in memory.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { PairStatus } from '../../src/core/status.ts';
import { openBench } from '../control/harness.ts';
import { WORLDS, type WorldName } from './worlds.ts';

/** How late the loop ran at most, and in the middle. */
export interface Lag {
  readonly maxMs: number;
  readonly p99Ms: number;
}

type Order = { readonly world: WorldName; readonly ticks: boolean } | 'lag' | 'end';

/** The update some seconds later. */
export function later(status: PairStatus, seconds: number): PairStatus {
  const { A } = status.nodes;
  if (status.rollout === null || A.activity === null) return status;
  const progress = {
    doneBytes: seconds * 20e6,
    totalBytes: 9e9,
    rateBps: 20e6,
    etaS: 450 - seconds,
  };
  const rollout = { ...status.rollout, elapsedS: 72 + seconds };
  const activity = { name: 'installing', progress };
  const text = `no high availability now: node A is being updated, ${seconds % 10}`;
  return {
    ...status,
    ha: { ok: false, text },
    rollout,
    nodes: { ...status.nodes, A: { ...A, activity } },
  };
}

/** The daemon as its bench sees it. */
export class BenchDaemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly socketPath: string;

  private constructor(child: ChildProcess, socketPath: string) {
    this.#child = child;
    this.socketPath = socketPath;
  }

  static async start(): Promise<BenchDaemon> {
    const child = fork(fileURLToPath(import.meta.url), {
      env: { ...process.env, BENCH_DAEMON: '1' },
    });
    const [path] = (await once(child, 'message')) as [string];
    return new BenchDaemon(child, path);
  }

  /** The pair is as named; with `ticks` it is another one each second. */
  async show(world: WorldName, ticks = false): Promise<void> {
    await this.#ask({ world, ticks });
  }

  /** How late the loop ran since the last question. */
  async lag(): Promise<Lag> {
    return (await this.#ask('lag')) as Lag;
  }

  async #ask(order: Order): Promise<unknown> {
    const answer = once(this.#child, 'message');
    this.#child.send(order);
    return ((await answer) as [unknown])[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.send('end' satisfies Order);
    await gone;
  }
}

async function serve(): Promise<void> {
  const bench = await openBench();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let ticking: NodeJS.Timeout | undefined;
  const show = (world: WorldName, ticks: boolean): void => {
    clearInterval(ticking);
    bench.backend.pair = WORLDS[world];
    let seconds = 0;
    const tick = (): void => {
      seconds += 1;
      bench.backend.pair = later(WORLDS[world], seconds);
    };
    if (ticks) ticking = setInterval(tick, 1000);
  };
  process.on('message', (order: Order) => {
    if (order === 'end') {
      clearInterval(ticking);
      delay.disable();
      void Promise.resolve(bench[Symbol.asyncDispose]()).then(() => process.disconnect());
    } else if (order === 'lag') {
      // What the timer of the measure itself takes is no lag.
      const lag: Lag = { maxMs: delay.max / 1e6 - 5, p99Ms: delay.percentile(99) / 1e6 - 5 };
      delay.reset();
      process.send?.(lag);
    } else {
      show(order.world, order.ticks);
      process.send?.('shown');
    }
  });
  process.send?.(bench.socketPath);
}

if (process.env['BENCH_DAEMON'] === '1') await serve();
