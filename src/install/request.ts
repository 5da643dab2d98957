/**
 * The one line that the installer process is told: read with a limit, checked for the fields that
 * the work needs. Always holds: a request that is passed on has every field of its kind. Imports
 * core and the protocol.
 */
import type { Readable } from 'node:stream';
import { UpdateError } from '../core/errors.ts';
import type { InstallerRequest } from './protocol.ts';

/** Longest request line, in bytes. */
export const REQUEST_BYTES_MAX = 256 * 1024;

type Kind = InstallerRequest['do'];
type FieldType = 'string' | 'number' | 'boolean' | 'object';

const FIELDS: Readonly<Record<Kind, Readonly<Record<string, FieldType>>>> = {
  verify: { path: 'string', trustRoot: 'string' },
  stage: { path: 'string', trustRoot: 'string', depotDir: 'string' },
  serve: { path: 'string', listen: 'object' },
  fetch: {
    from: 'object',
    bundle: 'string',
    bytes: 'number',
    trustRoot: 'string',
    depotDir: 'string',
  },
  install: {
    path: 'string',
    trustRoot: 'string',
    targets: 'object',
    progressFile: 'string',
    readBack: 'boolean',
    format: 'boolean',
  },
};

/**
 * The request from the first line of `input`. Goes on watching it: `onClosed` is called when it
 * ends, whenever that is. Throws `usage.invalid`.
 */
export async function readRequest(
  input: Readable,
  onClosed: () => void,
): Promise<InstallerRequest> {
  const line = Promise.withResolvers<string>();
  const pieces: Buffer[] = [];
  let bytes = 0;
  const take = (piece: Buffer): void => {
    pieces.push(piece);
    bytes += piece.length;
    const end = piece.indexOf(0x0a);
    if (end === -1 && bytes <= REQUEST_BYTES_MAX) return;
    input.off('data', take);
    // The stream must flow on, or its end would never be seen.
    input.resume();
    if (bytes > REQUEST_BYTES_MAX) line.reject(invalid(`more than ${REQUEST_BYTES_MAX} bytes`));
    else line.resolve(Buffer.concat(pieces).toString('utf8').split('\n', 1)[0] ?? '');
  };
  const closed = (): void => {
    line.reject(invalid('no line'));
    onClosed();
  };
  input.on('data', take);
  input.once('end', closed);
  input.once('error', closed);
  return parseRequest(await line.promise);
}

/** A request from its JSON text. Throws `usage.invalid` with what is wrong. */
export function parseRequest(text: string): InstallerRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UpdateError('usage.invalid', 'the request of the installer is not JSON', { cause });
  }
  const request = (value ?? {}) as Record<string, unknown>;
  const kind = request['do'];
  if (typeof kind !== 'string' || !Object.hasOwn(FIELDS, kind)) {
    const found = typeof kind === 'string' ? JSON.stringify(kind.slice(0, 40)) : typeof kind;
    throw invalid(`do: ${found}`);
  }
  for (const [field, type] of Object.entries(FIELDS[kind as Kind])) {
    const found = request[field] === null ? 'null' : typeof request[field];
    if (found !== type) throw invalid(`${kind}: ${field} is ${found}, expected ${type}`);
  }
  return value as InstallerRequest;
}

function invalid(found: string): UpdateError {
  return new UpdateError('usage.invalid', `the request of the installer has ${found}`, {
    detail: { found },
  });
}
