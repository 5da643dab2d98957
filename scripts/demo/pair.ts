/**
 * The pair while it runs: a supervisor process for each appliance, the command line, and the wait
 * for high availability. Always holds: only processes that were started here are ended, by asking
 * them or by their id; the supervisors end by themselves when this process dies, unless they were
 * told to stay. Imports core, control and the supervisor's client.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../src/control/client.ts';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import type { Appliance, AppliancePair } from '../appliance.ts';
import { PROJECT_DIR } from '../build.ts';
import { askPower, type PowerStatus } from '../supervisor/power-client.ts';

const READY_MS_MAX = 30_000;
const POLL_MS = 250;
/** Time for a supervisor to cut the power and to end. */
const QUIT_MS = 15_000;

async function startSupervisor(
  appliance: Appliance,
  more: readonly string[],
): Promise<ChildProcess> {
  const script = join(PROJECT_DIR, 'scripts/supervisor.ts');
  const child = spawn(process.execPath, [script, appliance.dir, '--tied', ...more], {
    // Ctrl-C is for the demo, which then ends the supervisor in good order.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text));
  const ended = once(child, 'exit');
  const ready = once(child.stdout, 'data', { signal: AbortSignal.timeout(READY_MS_MAX) });
  const first = await Promise.race([ready, ended]);
  if (child.exitCode !== null || !String(first[0]).startsWith('ready')) {
    const why = words.trim() || `status ${String(child.exitCode)}`;
    throw new UpdateError('tool.failed', `the supervisor of node ${appliance.node} ended: ${why}`);
  }
  return child;
}

/** What a finished command of the command line gave back. */
export interface CommandResult {
  readonly exit: number;
  readonly stdout: string;
}

/** A running pair. */
export class RunningPair {
  readonly pair: AppliancePair;
  readonly #program: string;
  readonly #supervisors = new Map<NodeId, ChildProcess>();

  /** `program` is the bundled program, whose command line is used. */
  constructor(pair: AppliancePair, program: string) {
    this.pair = pair;
    this.#program = program;
  }

  /** Switches both appliances on; `more` goes to their supervisors. */
  async start(...more: readonly string[]): Promise<void> {
    for (const node of NODES) {
      this.#supervisors.set(node, await startSupervisor(this.pair.nodes[node], more));
    }
  }

  /** The pair as a node sees it; throws `daemon.unreachable`. */
  async status(node: NodeId, signal: AbortSignal): Promise<PairStatus> {
    return new ControlClient(this.pair.nodes[node].controlSocket).status(signal);
  }

  async power(node: NodeId): Promise<PowerStatus> {
    const reply = await askPower(this.pair.nodes[node].powerSocket, 'status');
    if (!reply.ok) throw new UpdateError('tool.failed', reply.error);
    return reply.status;
  }

  /**
   * Waits until both nodes say that the pair is highly available and no rollout goes on. Throws
   * `pair.not_healthy` with the newest word of each node when time is up.
   */
  async waitAvailable(timeoutMs: number, signal: AbortSignal): Promise<PairStatus> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const views = await Promise.all(NODES.map(async (node) => this.#view(node, signal)));
      const [a, b] = views;
      if (a?.status && b?.status && a.good && b.good) return a.status;
      if (performance.now() > endMs) {
        const words = views.map((view, at) => `node ${NODES[at] ?? ''}: ${view.text}`).join('; ');
        throw new UpdateError('pair.not_healthy', `time is up, ${words}`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  async #view(
    node: NodeId,
    signal: AbortSignal,
  ): Promise<{ status: PairStatus | null; good: boolean; text: string }> {
    try {
      const status = await this.status(node, signal);
      const busy = status.rollout !== null && !status.rollout.ended;
      return { status, good: status.ha.ok && !busy, text: `${status.state}, ${status.ha.text}` };
    } catch (error) {
      signal.throwIfAborted();
      return { status: null, good: false, text: asUpdateError(error).message };
    }
  }

  /** The words of a command line for a node, as a person would type them. */
  commandLine(node: NodeId, ...args: readonly string[]): readonly string[] {
    const socket = this.pair.nodes[node].controlSocket;
    return [process.execPath, this.#program, ...args, '--socket', socket];
  }

  /**
   * Runs the command line against a node. Its progress goes to this process's standard error; its
   * result is returned, and shown too when `show` is set. Ctrl-C detaches it, as always.
   */
  async tandem(
    node: NodeId,
    args: readonly string[],
    signal: AbortSignal,
    show = false,
  ): Promise<CommandResult> {
    const [program, ...rest] = this.commandLine(node, ...args);
    const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    const stop = (): void => {
      if (child.pid !== undefined) child.kill('SIGINT');
    };
    signal.addEventListener('abort', stop, { once: true });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (show) process.stderr.write(text);
    });
    const [exit] = (await once(child, 'close')) as [number | null];
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    return { exit: exit ?? 1, stdout };
  }

  /** Opens the maintenance console of a node on this terminal, until it is left. */
  async console(node: NodeId, bundles: string): Promise<number> {
    const [program, ...rest] = this.commandLine(node, 'console', '--bundles', bundles);
    const child = spawn(program!, rest, { stdio: 'inherit' });
    const [exit] = (await once(child, 'close')) as [number | null];
    return exit ?? 1;
  }

  /** Lets the appliances outlive this process. */
  async keep(): Promise<void> {
    for (const [node, child] of this.#supervisors) {
      await askPower(this.pair.nodes[node].powerSocket, 'keep');
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
    }
    this.#supervisors.clear();
  }

  /** Cuts the power of both appliances and ends their supervisors; idempotent. */
  async stop(): Promise<void> {
    const children = [...this.#supervisors.values()];
    this.#supervisors.clear();
    await Promise.all(children.map(endSupervisor));
  }
}

async function endSupervisor(child: ChildProcess): Promise<void> {
  // One that never started has no process, and Node would signal an arbitrary one in its place.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), QUIT_MS);
  await ended;
  clearTimeout(timer);
}
