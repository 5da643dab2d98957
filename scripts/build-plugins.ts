/**
 * What esbuild must be told about packages and built-in modules, whatever it makes of the program.
 * Always holds: nothing here changes what the program does, only what comes along and what is
 * loaded. Imports esbuild's types and the checks that are made beforehand.
 */
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { precompiledChecks } from './precompiled.ts';

/** Name of the native part of the serial port, beside the program that uses it. */
export const SERIALPORT_FILE = 'serialport.node';

/** The package looks for its native part in its own folder, which an image does not have. */
const NATIVE: Plugin = {
  name: 'native',
  setup(builder) {
    const namespace = 'native';
    const path = `./${SERIALPORT_FILE}`;
    builder.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path, namespace }));
    builder.onResolve({ filter: /./, namespace }, () => ({ path, external: true }));
    builder.onLoad({ filter: /./, namespace }, () => ({
      contents: `module.exports = () => require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * The drawing library's table of characters asks for the whole of it, to learn how wide a tab is:
 * every widget would come along. The console draws no tab.
 */
const LEAN: Plugin = {
  name: 'lean',
  setup(builder) {
    const namespace = 'lean';
    builder.onResolve({ filter: /^\.\.\/$/ }, ({ importer }) =>
      importer.endsWith('/blessed/lib/unicode.js') ? { path: importer, namespace } : undefined,
    );
    builder.onLoad({ filter: /./, namespace }, () => ({ contents: 'module.exports = {};' }));
  },
};

/**
 * Built-in modules are required instead of imported. An import reads every export to list it, and
 * some of them load what nobody asked for when they are read: `node:http` loads a whole second HTTP
 * client, which is two thirds of the start of a small program.
 */
export const BUILTINS: Plugin = {
  name: 'builtins',
  setup(builder) {
    const namespace = 'builtin';
    builder.onResolve({ filter: /^node:/ }, ({ path, namespace: from }) =>
      from === namespace ? { path, external: true } : { path, namespace },
    );
    builder.onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** The code of the installer's worker thread, as src/install/worker-code.ts says. */
function workerCode(projectDir: string): Plugin {
  const namespace = 'worker-code';
  return {
    name: namespace,
    setup(builder) {
      builder.onResolve({ filter: /\/worker-code\.ts$/ }, ({ path }) => ({ path, namespace }));
      builder.onLoad({ filter: /./, namespace }, async () => {
        const made = await build({
          entryPoints: [join(projectDir, 'src/install/worker.ts')],
          write: false,
          bundle: true,
          platform: 'node',
          format: 'cjs',
          target: 'node24',
          minify: true,
          keepNames: true,
          charset: 'ascii',
          logLevel: 'silent',
        });
        const code = JSON.stringify(made.outputFiles[0]?.text);
        return { contents: `export const WORKER_CODE = ${code};` };
      });
    },
  };
}

/**
 * All but `BUILTINS`; `projectDir` is where packages are found, `ajvApart` the name of the part
 * that has the whole of ajv, where it is a part of its own (`AJV_ENTRY`).
 */
export function pluginsFor(projectDir: string, ajvApart: string | null = null): Plugin[] {
  return [NATIVE, LEAN, precompiledChecks(projectDir, ajvApart), workerCode(projectDir)];
}
