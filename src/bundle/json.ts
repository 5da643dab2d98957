/**
 * The strict reader of every JSON text in this room: manifest, signature list, trust root. Always
 * holds: what it returns has one meaning only (docs/bundle.md, B4.1): valid UTF-8 without a byte
 * order mark, standard JSON, no key twice in an object, limited depth. Imports core,
 * and jsonc-parser's scanner for the key check.
 */
import { visit } from 'jsonc-parser';
import type { Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { quoted } from './quote.ts';

const DEPTH_MAX = 8;

/** How a fault is reported: the code, and the name of the text for the sentence. */
export interface JsonRole {
  readonly code: Code;
  readonly what: string;
}

/** Value of a strict JSON text (B4.1). Throws an error with the role's code. */
export function parseStrictJson(bytes: Uint8Array, role: JsonRole): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw fault(role, 'is not valid UTF-8', cause);
  }
  // Depth first: the parsers below recurse, and the text may not be authenticated yet.
  checkDepth(text, role);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fault(role, 'is not valid JSON', cause);
  }
  checkKeys(text, role);
  return value;
}

function fault(role: JsonRole, why: string, cause?: unknown): UpdateError {
  return new UpdateError(role.code, `${role.what} ${why}`, { cause, detail: { found: why } });
}

/** Counts brackets outside strings; exact for valid JSON, an upper guard for anything else. */
function checkDepth(text: string, role: JsonRole): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (inString) {
      if (c === '\\') i += 1;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === '{' || c === '[') {
      depth += 1;
      if (depth > DEPTH_MAX) throw fault(role, `is nested deeper than ${DEPTH_MAX} levels`);
    } else if (c === '}' || c === ']') depth -= 1;
  }
}

/** Two readers may pick different ones of two equal keys; so there is never a second one. */
function checkKeys(text: string, role: JsonRole): void {
  const open: Set<string>[] = [];
  visit(text, {
    onObjectBegin: () => {
      open.push(new Set());
    },
    onObjectProperty: (key) => {
      const keys = open.at(-1);
      if (keys?.has(key) === true) {
        throw fault(role, `has the key ${quoted(key)} twice in one object`);
      }
      keys?.add(key);
    },
    onObjectEnd: () => {
      open.pop();
    },
  });
}
