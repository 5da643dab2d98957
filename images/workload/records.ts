/**
 * The sample workload of the appliance: a store of records over HTTP on the service address. The
 * daemon starts it at boot, in standby, and tells it on standard input, in JSON lines with an
 * `id`, to serve, to release or to test itself; each gets one answer on standard output. Always
 * holds: the address is bound only between the answers to `serve` and to `release`; when `release`
 * is answered no request is served any more; it ends with whoever started it. Imports core,
 * json-lines and its own modules.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { parseRelease, RELEASE_BYTES_MAX } from '../../src/core/model.ts';
import { readFileLimited } from '../../src/drivers/fs-atomic.ts';
import { jsonLine, jsonLineReader, openSocketCalls } from '../../src/drivers/json-lines.ts';
import { RecordServer } from './server.ts';
import { selfTest } from './self-test.ts';

interface Settings {
  readonly node: string;
  readonly storageSocket: string;
  readonly releaseFile: string;
}

/** One line on standard input. */
interface Order {
  readonly id?: unknown;
  readonly serve?: { readonly epoch?: unknown; readonly address?: unknown };
  readonly release?: unknown;
  readonly selfTest?: unknown;
}

function readSettings(argument: string | undefined): Settings {
  const value = JSON.parse(argument ?? '') as Partial<Settings> | null;
  for (const name of ['node', 'storageSocket', 'releaseFile'] as const) {
    if (typeof value?.[name] !== 'string') {
      throw new UpdateError('config.invalid', `the settings lack ${name}`);
    }
  }
  return value as Settings;
}

async function run(settings: Settings): Promise<void> {
  const { node, storageSocket, releaseFile } = settings;
  const text = (await readFileLimited(releaseFile, RELEASE_BYTES_MAX)).toString('utf8');
  const { version } = parseRelease(text);
  const store = openSocketCalls({ path: storageSocket });
  const server = new RecordServer({ node, version, store });
  let turn = Promise.resolve();
  const feed = jsonLineReader((value) => {
    turn = turn.then(() => answer(server, (value ?? {}) as Order));
  });
  process.stdin.on('data', (chunk: Buffer) => {
    try {
      feed(chunk);
    } catch (error) {
      fail(error);
    }
  });
  // Whoever started this has ended: nobody could stop it from serving any more.
  process.stdin.once('close', () => process.exit(0));
}

async function answer(server: RecordServer, order: Order): Promise<void> {
  const { id } = order;
  try {
    process.stdout.write(jsonLine({ id, ok: true, result: await obey(server, order) }));
  } catch (error) {
    const report = asUpdateError(error).report();
    process.stdout.write(jsonLine({ id, ok: false, error: report }));
  }
}

async function obey(server: RecordServer, order: Order): Promise<unknown> {
  if (order.serve) {
    const { epoch, address } = order.serve;
    if (!Number.isSafeInteger(epoch) || typeof address !== 'string') {
      throw new UpdateError('usage.invalid', 'serve needs an epoch and an address');
    }
    await server.serve(epoch as number, address);
    return null;
  }
  if (order.release !== undefined) {
    await server.release();
    return null;
  }
  if (order.selfTest !== undefined) return await selfTest(server);
  throw new UpdateError('usage.invalid', 'neither serve nor release nor selfTest');
}

function fail(error: unknown): never {
  process.stderr.write(`${asUpdateError(error).message}\n`);
  process.exit(1);
}

if (process.argv[2] === '--version') {
  process.stdout.write('tandem sample workload: records over HTTP\n');
} else {
  try {
    await run(readSettings(process.argv[2]));
  } catch (error) {
    fail(error);
  }
}
