/**
 * The self-test of the workload on a copy of the store that may be read-only: it serves itself on
 * an abstract unix socket and asks over HTTP what a client would ask. Always holds: nothing is
 * written, and the service address is not touched; a standby whose copy cannot be read before it is
 * the primary passes with no record. Imports core and the server.
 */
import { request } from 'node:http';
import { UpdateError } from '../../src/core/errors.ts';
import { bind, type RecordServer } from './server.ts';

/** Records that are read back. */
const SAMPLES = 8;
/** A store that does not answer so long counts as not there. */
const STORE_MS = 2000;
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
let tests = 0;

/** Throws `health.check` with what was wrong; returns how many records were read. */
export async function selfTest(server: RecordServer): Promise<{ records: number }> {
  const store = (await server.ask({ op: 'status' }, STORE_MS)) as { role?: unknown } | null;
  tests += 1;
  const path = `\0tandem-self-test-${process.pid}-${tests}`;
  const http = server.create();
  await bind(http, { path });
  try {
    const health = await getJson(path, '/healthz');
    if (typeof health['version'] !== 'string') throw wrong('/healthz tells no version');
    const answer = await get(path, `/records?limit=${SAMPLES}`);
    // Storage software that replicates blocks cannot read its copy before it is the primary.
    if (store?.role === 'secondary' && isUnreadable(answer)) return { records: 0 };
    const { keys } = jsonOf('/records', answer) as { keys?: unknown };
    if (!Array.isArray(keys)) throw wrong('/records gives no list of keys');
    for (const key of keys as string[]) {
      const { status } = await get(path, `/records/${encodeURIComponent(key)}`);
      // A sync may just take back what this copy still listed.
      if (status !== 200 && status !== 404) throw wrong(`record ${key}: status ${status}`);
    }
    return { records: keys.length };
  } finally {
    http.closeAllConnections();
    const { promise, resolve } = Promise.withResolvers<void>();
    http.close(() => resolve());
    await promise;
  }
}

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** The workload says of itself that the store refuses to be read on a standby. */
function isUnreadable({ status, text }: HttpAnswer): boolean {
  return status === 503 && text.includes('"store.read_only"');
}

async function getJson(socketPath: string, path: string): Promise<Record<string, unknown>> {
  return jsonOf(path, await get(socketPath, path));
}

function jsonOf(path: string, { status, text }: HttpAnswer): Record<string, unknown> {
  if (status !== 200) throw wrong(`${path}: status ${status}, ${text.trim().slice(0, 200)}`);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new UpdateError('health.check', `${path} does not answer in JSON`, { cause });
  }
}

async function get(socketPath: string, path: string): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const call = request({ socketPath, path }, (response) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    response.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES_MAX) call.destroy(new Error('the answer is too long'));
      pieces.push(piece);
    });
    response.on('error', reject);
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
    );
  });
  call.on('error', reject);
  call.end();
  try {
    return await promise;
  } catch (cause) {
    throw new UpdateError('health.check', `${path}: ${(cause as Error).message}`, { cause });
  }
}

const wrong = (text: string): UpdateError => new UpdateError('health.check', text);
