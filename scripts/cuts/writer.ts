/**
 * A client of the pair's service that writes records all the time and notes, for each one that was
 * acknowledged, who served it and how long that node's log of writes was right after the answer.
 * Always holds: what is noted was answered before the log was looked at; a write without an answer
 * is not noted. Imports core, node and the bench.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { Machine } from '../vm/machine.ts';
import type { AcknowledgedWrite, LogPosition } from './recording.ts';
import { sha256 } from './view.ts';

/** Slow enough that the machines have most of their time for the update. */
const PACE_MS = 400;
const ANSWER_MS = 2000;

/** How long the logs of a machine are now. */
export async function positionOf(machine: Machine): Promise<LogPosition> {
  const { writeLogs } = machine;
  const path = writeLogs.at(-1);
  if (path === undefined) return { boot: 0, bytes: 0 };
  const { size } = await stat(path);
  // The machine may have been reset meanwhile: the log that was looked at is right all the same.
  return { boot: writeLogs.length - 1, bytes: size };
}

/** The client; it works from `start` to `stop`. */
export class AcknowledgedWriter {
  /** What was acknowledged, in its order. */
  readonly writes: AcknowledgedWrite[] = [];
  readonly #machines: Readonly<Record<NodeId, Machine>>;
  readonly #servicePort: number;
  readonly #end = new AbortController();
  #served: NodeId = 'A';
  #work: Promise<void> = Promise.resolve();

  constructor(machines: Readonly<Record<NodeId, Machine>>, servicePort: number) {
    this.#machines = machines;
    this.#servicePort = servicePort;
  }

  /** Begins to write. */
  start(): void {
    this.#work = this.#write();
  }

  /** Ends the work. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#work;
  }

  async #write(): Promise<void> {
    const { signal } = this.#end;
    for (let number = 1; !signal.aborted; number += 1) {
      const key = `cut-${String(number).padStart(6, '0')}`;
      const value = `record ${number} `.padEnd(100 + (number % 7) * 150, '.');
      // The one that served last is the likely one.
      for (const node of NODES.toSorted((one) => (one === this.#served ? -1 : 1))) {
        if (!(await this.#put(node, key, value))) continue;
        const at = await positionOf(this.#machines[node]);
        this.writes.push({ node, key, hash: sha256(Buffer.from(value)), at });
        this.#served = node;
        break;
      }
      await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #put(node: NodeId, key: string, body: string): Promise<boolean> {
    const machine = this.#machines[node];
    if (machine.power === 'off') return false;
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(ANSWER_MS)]);
    try {
      const port = machine.forwardedPort(this.#servicePort);
      const url = `http://127.0.0.1:${port}/records/${key}`;
      const { ok } = await fetch(url, { method: 'PUT', body, signal });
      return ok;
    } catch {
      return false;
    }
  }
}
