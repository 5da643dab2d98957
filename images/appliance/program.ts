/**
 * Entry of a program in parts, as an appliance has it: a small file that loads of the program what
 * is asked for, from the pack beside it, with the code that the engine made of it when the image
 * was built. Always holds: code that this engine does not take (another version, other flags) is
 * left and the part is compiled, which takes longer and gives the same; with TANDEM_DEBUG set it
 * says so. The format of a pack is in scripts/appliance/pack.ts. Imports nothing: a built-in
 * module that is imported is read whole.
 */

/** Where parts lie in the pack: source and code, each with its first byte and its length. */
type Index = Readonly<
  Record<string, readonly [at: number, size: number, at: number, size: number]>
>;

interface Module {
  exports: unknown;
}

/** What a part is called with. */
type Part = (module: Module, require: (id: string) => unknown, file: string, url: string) => void;

const fs = process.getBuiltinModule('node:fs');
const { Script } = process.getBuiltinModule('node:vm');
const { createRequire } = process.getBuiltinModule('node:module');

/** Digits of the length of the index, at the head of the pack. */
const HEAD_BYTES = 8;

const file = import.meta.filename;
const builtIn = createRequire(import.meta.url);
const pack = fs.openSync(file.replace(/\.mjs$/, '.parts'), 'r');
const indexBytes = Number(read(0, HEAD_BYTES).toString('latin1'));
const index = JSON.parse(read(HEAD_BYTES, indexBytes).toString('latin1')) as Index;
const loaded = new Map<string, Module>();

function read(at: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  let done = 0;
  while (done < size) {
    const got = fs.readSync(pack, bytes, done, size - done, at + done);
    if (got === 0) throw new Error(`${file}: the parts of the program end too early`);
    done += got;
  }
  return bytes;
}

function load(id: string): unknown {
  if (!Object.hasOwn(index, id)) return builtIn(id);
  const found = loaded.get(id);
  if (found !== undefined) return found.exports;
  const [at, size, codeAt, codeSize] = index[id]!;
  const source = read(at, size).toString('latin1');
  const cachedData = codeSize === 0 ? undefined : read(codeAt, codeSize);
  const script = new Script(source, { filename: `${file}/${id}`, cachedData });
  if (script.cachedDataRejected === true && process.env['TANDEM_DEBUG']) {
    process.stderr.write(`${file}: the code of ${id} is not taken\n`);
  }
  const module = { exports: {} };
  // Before it runs, since parts may need one another.
  loaded.set(id, module);
  (script.runInThisContext() as Part)(module, load, file, import.meta.url);
  return module.exports;
}

await (load('main') as { runRole(): Promise<void> }).runRole();
