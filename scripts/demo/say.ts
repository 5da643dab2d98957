/**
 * How the demo talks: one line for each thing that it does, with the time since it began. Always
 * holds: without a terminal the lines are plain text; with `--json` standard output is left to the
 * one JSON object. Imports Node only.
 */

/** The demo's voice. */
export interface Voice {
  /** A headline. */
  title(text: string): void;
  /** One finished step: a short name and a sentence. */
  step(name: string, text: string): void;
  /** A line of its own, as it is. */
  line(text?: string): void;
  /** Seconds since the demo began. */
  elapsedS(): number;
}

const NAME_WIDTH = 10;

/** Speaks on `out`; bold and dim only where a person looks. */
export function makeVoice(out: NodeJS.WriteStream): Voice {
  const startMs = performance.now();
  const colour = out.isTTY && process.env['NO_COLOR'] === undefined;
  const styled = (code: number, text: string): string =>
    colour ? `\u001B[${String(code)}m${text}\u001B[0m` : text;
  const elapsedS = (): number => (performance.now() - startMs) / 1000;
  return {
    elapsedS,
    line: (text = '') => void out.write(`${text}\n`),
    title: (text) => void out.write(`${styled(1, text)}\n`),
    step(name, text) {
      const time = `${elapsedS().toFixed(1).padStart(6)} s`;
      out.write(`${styled(2, time)}  ${styled(1, name.padEnd(NAME_WIDTH))}  ${text}\n`);
    },
  };
}

/** Bytes in words for people, in whole MiB. */
export function mib(bytes: number): string {
  return `${String(Math.round(bytes / (1024 * 1024)))} MiB`;
}
