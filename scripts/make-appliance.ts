/**
 * Command line that makes the system image of an appliance from Debian packages, the pinned Node
 * and this program; `npm run make:appliance -- --help`. Always holds: nothing is installed on this
 * machine unless `--install-host-tools` asks for it. Imports core and scripts/appliance.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { installHostTools } from './appliance/host-tools.ts';
import { makeApplianceImage } from './appliance/make.ts';
import {
  APPLIANCE_VARIANTS,
  isApplianceVariant,
  type ApplianceVariant,
} from './appliance/variants.ts';
import { BUILD_DIR, buildProgram } from './build.ts';

const NAMES = Object.entries(APPLIANCE_VARIANTS).map(([name, what]) => `${name.padEnd(16)}${what}`);
const USAGE = `Usage: npm run make:appliance -- --version V --counter N --out FILE
         [--product NAME] [--variant WORD] [--new-packages] [--install-host-tools]

  --variant  ${NAMES.join('\n             ')}
  --new-packages        ask apt for the versions of today; without it those in the record
                        build/debian/packages.json are used, and no network once they are there
  --install-host-tools  install the Debian packages of missing tools first (as root)

Example: npm run make:appliance -- --version 1.2.0 --counter 12 --out build/appliance-1.2.0.img
`;

const MIB = 1024 * 1024;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function counterOf(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UpdateError('usage.invalid', `--counter is "${text}"; it must be a positive number`);
}

function variantOf(text: string): ApplianceVariant {
  if (isApplianceVariant(text)) return text;
  const accepted = Object.keys(APPLIANCE_VARIANTS).join(', ');
  throw new UpdateError('usage.invalid', `--variant is "${text}"; accepted: ${accepted}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      version: { type: 'string' },
      counter: { type: 'string' },
      out: { type: 'string' },
      product: { type: 'string', default: 'tandem-demo' },
      variant: { type: 'string', default: 'good' },
      'new-packages': { type: 'boolean', default: false },
      'install-host-tools': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { version, counter, out, product } = values;
  if (values.help || !version || !counter || !out) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const spec = { product, version, counter: counterOf(counter), out: resolve(out) };
  const variant = variantOf(values.variant);
  if (values['install-host-tools']) await installHostTools(['image'], say);
  if (values['new-packages']) await rm(join(BUILD_DIR, 'debian/packages.json'), { force: true });
  const programs = await buildProgram();
  const made = await makeApplianceImage({ ...spec, variant, programs, say });
  const mebibytes = (made.sizeBytes / MIB).toFixed(1);
  const seconds = (made.buildMs / 1000).toFixed(1);
  console.log(`${made.file}  ${variant}  ${version}  ${mebibytes} MiB  ${seconds} s`);
  console.log(`sha256 ${made.sha256}`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  process.exitCode = failure.exit;
}
