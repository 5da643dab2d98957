/**
 * The kernel's driver of the emulated watchdog, for a kernel that is built without it. Debian's
 * kernel for virtual machines unpacks itself three seconds sooner under software emulation than the
 * one for real machines, and lacks this one driver; it is built here from Debian's source of the
 * very same kernel. Always holds: nothing is installed; the same packages and the same compiler
 * give the same bytes. Imports debian and the tools.
 */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../image/tools.ts';
import { unpack } from './debian.ts';

/** The driver, as a file of the kernel's source and of its modules, and its name. */
const SOURCE = 'drivers/watchdog/i6300esb.c';
const NAME = 'i6300esb';

/** Names of the packages that it takes to build a module for a kernel package. */
export interface ModulePackages {
  readonly headers: string;
  readonly common: string;
  readonly kbuild: string;
  readonly source: string;
}

/** For `linux-image-6.1.0-56-cloud-amd64`: its headers, the build scripts, the source. */
export function modulePackagesOf(kernel: string): ModulePackages {
  const found = /^linux-image-((\d+\.\d+)\.\d+-\d+)-([\w-]+)$/.exec(kernel);
  const [, abi = '', version = '', flavour = ''] = found ?? [];
  return {
    headers: `linux-headers-${abi}-${flavour}`,
    common: `linux-headers-${abi}-common`,
    kbuild: `linux-kbuild-${version}`,
    source: `linux-source-${version}`,
  };
}

/**
 * Builds the driver for the kernel that the packages belong to and puts it among its modules.
 * `fileOf` gives the .deb of a package. Throws `tool.missing` and `tool.failed`.
 */
export async function buildWatchdogModule(
  names: ModulePackages,
  fileOf: (name: string) => string,
  modulesDir: string,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'tandem-module-'));
  try {
    for (const name of [names.headers, names.common, names.kbuild]) {
      await unpack(fileOf(name), work, (path) => /^usr\/(src|lib)(\/|$)/.test(path));
    }
    const dir = join(work, 'module');
    await mkdir(dir);
    await copyFile(await sourceFrom(fileOf(names.source), names.source, work), join(dir, FILE));
    await writeFile(join(dir, 'Makefile'), `obj-m := ${NAME}.o\n`);
    const src = join(work, 'usr/src');
    // The folder of the headers has a Makefile too; it leads to where the package is installed.
    const makefile = join(src, names.common, 'Makefile');
    const what = [`M=${dir}`, 'CONFIG_DEBUG_INFO_BTF_MODULES=', 'modules'];
    await runTool('make', ['-s', '-C', join(src, names.headers), '-f', makefile, ...what]);
    const target = join(modulesDir, `kernel/drivers/watchdog/${NAME}.ko`);
    // What tells one build from another is left out: it depends on the folder.
    const strip = ['--strip-debug', '--remove-section=.note.gnu.build-id', '-o', target];
    await runTool('strip', [...strip, join(dir, `${NAME}.ko`)]);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const FILE = `${NAME}.c`;

/** The one file out of the archive of the kernel's source, which is an archive in a package. */
async function sourceFrom(deb: string, name: string, work: string): Promise<string> {
  const archive = `usr/src/${name}.tar.xz`;
  await unpack(deb, work, (path) => path === archive || archive.startsWith(path));
  const file = `${name}/${SOURCE}`;
  // It is in there once, so that the rest need not be unpacked.
  await runTool('tar', ['-C', work, '--occurrence=1', '-xJf', join(work, archive), file]);
  return join(work, file);
}
