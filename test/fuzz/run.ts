/**
 * The fuzz targets for people: `npm run fuzz -- [--target NAME ...] [--seed N] [--runs M]`, and
 * `--from R --runs 1` for one run again. Without a target all of them take their turn. Prints what
 * the inputs ended with and how much of each limit the worst one took; ends with status 1 at the
 * first finding. Always holds: the same arguments give the same figures. Imports the targets.
 */
import { parseArgs } from 'node:util';
import { Finding, fuzz, type Figures } from './engine.ts';
import { TARGETS } from './targets.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: TARGETS.map(({ name }) => name) },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '10000' },
    from: { type: 'string', default: '0' },
  },
});

const share = (part: number): string => `${(100 * part).toFixed(0)} %`;

function tell({ target, seed, runs, endings, worst }: Figures): void {
  const list = [...endings].toSorted(([, a], [, b]) => b - a);
  const words = list.map(([word, count]) => `${word} ${count}`).join(', ');
  const most = `steps ${share(worst.steps)}, buffers ${share(worst.buffers)} of the limit`;
  process.stdout.write(
    `${target.padEnd(10)} seed ${seed}: ${runs} runs; at most ${most}\n  ${words}\n`,
  );
}

/** Ends with this status; a finding is 1, a call that is none 2. */
function end(status: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}

const options = {
  seed: Number(values.seed),
  runs: Number(values.runs),
  from: Number(values.from),
};
if (!Object.values(options).every((value) => Number.isSafeInteger(value) && value >= 0)) {
  end(2, 'seed, runs and from are whole numbers');
}
for (const name of values.target) {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) {
    end(2, `no target ${name}; there are ${TARGETS.map((one) => one.name).join(', ')}`);
  }
  try {
    tell(await fuzz(target, options));
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    const { cause } = error;
    end(1, cause instanceof Error ? `${error.message}\n${cause.stack ?? ''}` : error.message);
  }
}
