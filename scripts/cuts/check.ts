/**
 * Checks the disks of many cuts of one node without booting any: walks along its timeline, reads
 * each disk, judges it, and notes the result at once. Always holds: what was noted is not done
 * again; the disk without any unflushed write is read at every new flush, since it tells what may
 * never be lost from there on. Imports core, node and the parts beside it.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeId } from '../../src/core/model.ts';
import { readData } from './data.ts';
import { readDisk, type DiskFacts, type KnownImage } from './facts.ts';
import { judge, NO_FLOOR, raise, type Floor, type Verdict } from './judge.ts';
import type { DrawnPoint } from './points.ts';
import { acknowledgedAt, type NodeTimeline, type Recording } from './recording.ts';
import { cutAt, keyOf, type Cut } from './timeline.ts';
import { Walker } from './walker.ts';

/** Data partitions that are remembered; cuts beside each other often have the same one. */
const FACTS_MAX = 100;

/** A cut that was checked. */
export interface Checked {
  readonly node: NodeId;
  readonly key: string;
  readonly verdict: Verdict;
}

/** Where and how the work is done. */
export interface CheckOptions {
  /** Folder with much room for copies; emptied by its owner. */
  readonly work: string;
  /** File that takes the results, a JSON object a line; what it has is not done again. */
  readonly results: string;
  /** Told after each cut: how many of how many are done. */
  readonly progress?: (done: number, all: number) => void;
  readonly signal?: AbortSignal;
}

/** Reads the results that a file has; a line that was cut short is none. */
export async function readResults(path: string): Promise<readonly Checked[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line): readonly Checked[] => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Checked];
    } catch {
      return [];
    }
  });
}

/** Checks every point of a node; returns the result of each, by key. */
export async function checkNode(
  node: NodeId,
  recording: Recording,
  timeline: NodeTimeline,
  points: readonly DrawnPoint[],
  options: CheckOptions,
): Promise<ReadonlyMap<string, Verdict>> {
  const { results, work, signal, progress } = options;
  const earlier = (await readResults(results)).filter((one) => one.node === node);
  const known = new Map(earlier.map(({ key, verdict }) => [key, verdict]));
  const open = points.filter(({ key }) => !known.has(key));
  if (open.length === 0) return known;
  await using reader = await DiskReader.open(timeline, recording.images, work);
  let floor = NO_FLOOR;
  let done = points.length - open.length;
  for (const one of points.toSorted(inOrder)) {
    signal?.throwIfAborted();
    // What may never be lost is known only to who has looked at every flush so far.
    floor = await reader.raise(floor, one.cut.durable);
    if (!known.has(one.key)) {
      const facts = await reader.read(one.cut);
      const must = acknowledgedAt(recording, node, timeline.entries, one.point.count);
      const verdict = await judge(facts, floor, must);
      known.set(one.key, verdict);
      await appendFile(results, `${JSON.stringify({ node, key: one.key, verdict })}\n`);
      done += 1;
      progress?.(done, points.length);
    }
  }
  return known;
}

function inOrder(a: DrawnPoint, b: DrawnPoint): number {
  return a.cut.durable - b.cut.durable || a.point.count - b.point.count;
}

/** Reads disks of one node, in the order of their flushes. */
export class DiskReader implements AsyncDisposable {
  readonly walker: Walker;
  readonly #timeline: NodeTimeline;
  readonly #images: readonly KnownImage[];
  readonly #work: string;
  /** Facts of data partitions by what was written to them. */
  readonly #data = new Map<string, DiskFacts['data']>();
  #raisedAt = -1;

  private constructor(
    walker: Walker,
    timeline: NodeTimeline,
    images: readonly KnownImage[],
    work: string,
  ) {
    this.walker = walker;
    this.#timeline = timeline;
    this.#images = images;
    this.#work = work;
  }

  /** Opens the disk of a node as it was at the start. */
  static async open(
    timeline: NodeTimeline,
    images: readonly KnownImage[],
    work: string,
  ): Promise<DiskReader> {
    const walker = await Walker.open(timeline.recorded, work);
    return new DiskReader(walker, timeline, images, work);
  }

  /** What the disk of a cut holds. Throws `file.unreadable`, `tool.missing`. */
  async read(cut: Cut): Promise<DiskFacts> {
    const disk = await this.walker.at(cut);
    const key = this.#dataKey(cut);
    let data = this.#data.get(key);
    if (data === undefined) {
      const image = join(this.#work, 'cut-data.img');
      await this.walker.copyData(image);
      data = await readData(image, join(this.#work, 'cut-files'));
      this.#data.set(key, data);
      const [oldest] = this.#data.keys();
      if (this.#data.size > FACTS_MAX && oldest !== undefined) this.#data.delete(oldest);
    }
    return { ...readDisk(disk, this.#images), data };
  }

  /** What must never be lost once these entries are durable. */
  async raise(floor: Floor, durable: number): Promise<Floor> {
    if (durable === this.#raisedAt) return floor;
    this.#raisedAt = durable;
    return raise(floor, await this.read({ durable, parts: [] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.walker[Symbol.asyncDispose]();
  }

  /** Equal for cuts with the same writes on the data partition. */
  #dataKey({ durable, parts }: Cut): string {
    const { entries, recorded } = this.#timeline;
    const { startBytes, sizeBytes } = recorded.data;
    const isData = (index: number): boolean => {
      const offset = entries[index]?.offsetBytes ?? -1;
      return offset >= startBytes && offset < startBytes + sizeBytes;
    };
    let last = durable;
    while (last > 0 && !isData(last - 1)) last -= 1;
    return keyOf({ durable: last, parts: parts.filter(({ entry }) => isData(entry)) });
  }
}

/** The cut that leaves everything that was written by then, as an orderly end does. */
export function wholeCut(timeline: NodeTimeline): Cut {
  const { entries } = timeline;
  return cutAt(entries, { count: entries.length, torn: 0, fate: 'keep' });
}
