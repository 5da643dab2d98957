/**
 * Kernel modules with all that they need, in an order in which insmod can load them. Always holds:
 * a module stands after every module that it depends on, the order is the same for the same
 * modules, and a name that is in no package is refused. Imports core and elf.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { moduleInfo } from './elf.ts';

/** A module: name as the kernel shows it, and its file. */
export interface KernelModule {
  readonly name: string;
  readonly file: string;
}

/** A module's name in the kernel: its file has dashes where the kernel has underscores. */
export function moduleName(file: string): string {
  return basename(file, '.ko').replaceAll('-', '_');
}

/**
 * All that `names` need, each once: what is needed first comes first, and otherwise the order of
 * `names`. `needs` tells what one module depends on. Throws `tool.failed` for a circle.
 */
export function loadOrder(
  names: readonly string[],
  needs: (name: string) => readonly string[],
): readonly string[] {
  const done = new Set<string>();
  const open = new Set<string>();
  const visit = (name: string): void => {
    if (done.has(name)) return;
    if (open.has(name)) {
      throw new UpdateError('tool.failed', `the kernel module ${name} depends on itself`);
    }
    open.add(name);
    needs(name).forEach(visit);
    done.add(name);
  };
  names.forEach(visit);
  return [...done];
}

/** The modules below a folder such as `lib/modules/6.1.0-56-amd64`, by their names. */
async function modulesBelow(dir: string): Promise<ReadonlyMap<string, string>> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = found.filter((one) => one.isFile() && one.name.endsWith('.ko'));
  return new Map(files.map((one) => [moduleName(one.name), join(one.parentPath, one.name)]));
}

/** What the fields of a module say that it depends on. */
export function dependsOn(fields: readonly (readonly [string, string])[]): readonly string[] {
  return fields
    .filter(([name]) => name === 'depends')
    .flatMap(([, value]) => value.split(',').filter((word) => word !== ''))
    .map((word) => word.replaceAll('-', '_'));
}

/** Names of what is built into the kernel and is no module of its own. */
async function builtInto(dir: string): Promise<ReadonlySet<string>> {
  const text = await readFile(join(dir, 'modules.builtin'), 'utf8');
  return new Set(text.split('\n').filter(Boolean).map(moduleName));
}

/**
 * The modules `names` and all that they need, in load order, without what the kernel has built in.
 * Throws `tool.failed`.
 */
export async function kernelModules(
  dir: string,
  names: readonly string[],
): Promise<readonly KernelModule[]> {
  const files = await modulesBelow(dir);
  const builtIn = await builtInto(dir);
  const needs = new Map<string, readonly string[]>();
  const asModules = names.filter((name) => !builtIn.has(name));
  const queue = [...asModules];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (needs.has(name)) continue;
    const file = files.get(name);
    if (file === undefined) {
      throw new UpdateError('tool.failed', `the kernel package has no module ${name} in ${dir}`);
    }
    const depends = dependsOn(moduleInfo(await readFile(file)));
    needs.set(name, depends);
    queue.push(...depends);
  }
  const order = loadOrder(asModules, (name) => needs.get(name) ?? []);
  return order.map((name) => ({ name, file: files.get(name)! }));
}
