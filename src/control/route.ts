/**
 * What a route of the control server is, and what it is given to answer with. A row says all that
 * the server checks and all that the API's description prints, so the two cannot differ. Imports
 * only types of core and its own folder.
 */
import type { ServerResponse } from 'node:http';
import type { PairStatus } from '../core/status.ts';
import type { Caller, ControlBackend } from './backend.ts';
import type { Desk, Visitor } from './desk.ts';
import type { Schema } from './shape.ts';

/** A parameter behind the question mark. */
export type QueryField = { readonly description: string } & (
  | { readonly kind: 'number'; readonly min: number; readonly max: number; readonly none: number }
  /** `1` for yes, `0` or nothing for no. */
  | { readonly kind: 'flag' }
  /** The id of a job. */
  | { readonly kind: 'id' }
);

/** Values of these parameters; a number has always one. */
export type QueryValues = Readonly<Record<string, string | number | boolean | undefined>>;

/** The body that a route takes: one schema, or one for each word in a field of the body. */
export type Body =
  | { readonly name: string; readonly schema: Schema }
  | {
      readonly name: string;
      readonly by: string;
      readonly schemas: Readonly<Record<string, Schema>>;
    };

/** What a route answers with when nothing is wrong. */
export type Answer =
  | { readonly kind: 'json'; readonly schema: Schema }
  /** One JSON value a line, as long as the client stays. */
  | { readonly kind: 'lines'; readonly schema: Schema }
  | { readonly kind: 'bytes'; readonly type: string; readonly description: string }
  | { readonly kind: 'text'; readonly type: string; readonly description: string };

/** What a route is given to answer with. */
export interface RouteContext<B = unknown> {
  readonly backend: ControlBackend;
  /** The one who judges access; throws where there is none. */
  readonly desk: () => Desk;
  /** What the status says of the right to change; nothing where nobody judges access. */
  readonly operator: () => Pick<PairStatus, 'operator'>;
  /** The description of the API. */
  readonly describe: () => Promise<object>;
  /** Values of the named parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: QueryValues;
  /** As its schema says. */
  readonly body: B;
  readonly caller: Caller;
  /** The same with its role. */
  readonly visitor: Visitor;
  /** Aborted when the client leaves, and when its session ends. */
  readonly signal: AbortSignal;
  /** For a stream, which answers by itself. */
  readonly response: ServerResponse;
  readonly heartbeatMs: number;
  readonly stallMs: number;
}

/** One row of the table of routes. */
export interface Route<B = unknown> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Parts that start with a colon are named. */
  readonly path: string;
  /** The name of the operation, one word, never changed. */
  readonly name: string;
  readonly status: 200 | 202;
  readonly summary: string;
  readonly query?: Readonly<Record<string, QueryField>>;
  /** Each POST has one. */
  readonly body?: Body;
  readonly answer: Answer;
  /**
   * Takes an idempotency key: `kept` over restarts of the daemon, or `run` in memory alone, because
   * request or answer hold a secret.
   */
  readonly keyed?: 'kept' | 'run';
  /** The body's word is the kind of a job, whose id can be told before it begins. */
  readonly begins?: 'job';
  readonly handle: (context: RouteContext<B>) => unknown;
}

/** A row whose handler is given a body of this type: what the row's schema lets through. */
export function route<B>(row: Route<B>): Route {
  const { handle } = row;
  return { ...row, handle: (context) => handle(context as RouteContext<B>) };
}
