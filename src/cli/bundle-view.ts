/**
 * What the bundle verbs print: the lines about a manifest, and progress. Always holds: text from a
 * bundle is printed without anything that a terminal would obey; without a terminal progress is a
 * plain line per tenth. Imports core and the pieces of views.
 */
import { UpdateError } from '../core/errors.ts';
import type { Manifest, ManifestBase } from '../core/manifest.ts';
import type { Progress } from '../core/model.ts';
import { bar, bytes, clip, percent, plain, progressWords } from './render.ts';
import type { CliIo } from './verb.ts';

const ASCII = { unicode: false };

/** What a person wants to know about a bundle. */
export function manifestLines(bundle: string, manifest: Manifest, io: CliIo): readonly string[] {
  const text = (value: string): string => plain(value, { columns: io.columns, ...ASCII });
  const { product, version, releaseCounter, hardware, from, blocked, minUpdater } = manifest;
  const lines = [
    `bundle      ${bundle}`,
    `product     ${text(product)} ${text(version)} (release ${releaseCounter})`,
    `hardware    ${hardware.map(text).join(', ')}`,
    `from        ${text(from)}${blocked.length > 0 ? `, not ${blocked.map(text).join(', ')}` : ''}`,
    `updater     ${text(minUpdater)} or newer`,
    `pair        protocol ${manifest.pair.protocol.join(' to ')}, beside ${text(
      manifest.pair.sideBySide,
    )}`,
  ];
  for (const image of manifest.images) {
    const { name, rawBytes, compressedBytes, counter, runsWith } = image;
    const sizes = `${bytes(rawBytes)}, ${bytes(compressedBytes)} compressed`;
    const other = image.class === 'system' ? 'storage' : 'system';
    lines.push(
      `image       ${name}: ${image.class} ${text(image.version)} (counter ${counter}), ${sizes}`,
      `            runs with ${other} ${text(runsWith)}`,
      ...(image.base === undefined ? [] : [`            ${baseWords(image.class, image.base)}`]),
    );
  }
  if (manifest.created !== undefined) lines.push(`created     ${text(manifest.created)}`);
  const notes = manifest.notes?.split('\n').map((line) => `  ${text(line)}`) ?? [];
  return notes.length === 0 ? lines : [...lines, 'notes', ...notes];
}

/** What a delta image can be installed over. */
function baseWords(cls: string, { version, counter, imageId }: ManifestBase): string {
  const id = imageId.slice(0, 12);
  return `delta: installs over ${cls} ${version} (counter ${counter}, ${id}) only`;
}

/** Shows the progress of one step on `err`; undefined where nobody asked for it. */
export interface ProgressPrinter {
  readonly show: (progress: Progress) => void;
  /** Ends the line; to be called however the step ended. */
  readonly end: () => void;
}

/** Least time between two redraws of the line. */
const REDRAW_MS = 100;
const BAR_COLUMNS = 24;

/** Printer for a step called `name`: one line that is redrawn, or a line per tenth. */
export function progressPrinter(io: CliIo, name: string): ProgressPrinter {
  let tenth = 0;
  let drawnMs = -REDRAW_MS;
  let open = false;
  return {
    show(progress) {
      const done = percent(progress) ?? 0;
      if (!io.errIsTerminal) {
        const now = Math.floor(done / 10);
        if (now > tenth) io.err(`${name}: ${progressWords(progress)}\n`);
        tenth = Math.max(tenth, now);
        return;
      }
      const nowMs = performance.now();
      if (done < 100 && nowMs - drawnMs < REDRAW_MS) return;
      drawnMs = nowMs;
      open = true;
      const line = `${name} ${bar(done, BAR_COLUMNS, {
        columns: io.columns,
        ...ASCII,
      })} ${progressWords(progress)}`;
      io.err(`\r${clip(line, io.columns - 1)}\u001b[K`);
    },
    end() {
      if (open) io.err('\n');
      open = false;
    },
  };
}

/** Runs `work`; what Ctrl-C ended is told apart from what failed. */
export async function uninterrupted<T>(io: CliIo, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UpdateError || !io.signal.aborted) throw cause;
    throw new UpdateError('bundle.interrupted', 'interrupted before the end', { cause });
  }
}
