/**
 * What a route of the control server is, and what it is given to answer with. Imports only types of
 * core and its own folder.
 */
import type { ServerResponse } from 'node:http';
import type { PairStatus } from '../core/status.ts';
import type { Caller, ControlBackend } from './backend.ts';
import type { Desk, Visitor } from './desk.ts';

/** What a route is given to answer with. */
export interface RouteContext {
  readonly backend: ControlBackend;
  /** The one who judges access; throws where there is none. */
  readonly desk: () => Desk;
  /** What the status says of the right to change; nothing where nobody judges access. */
  readonly operator: () => Pick<PairStatus, 'operator'>;
  /** Values of the named parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
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
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Parts that start with a colon are named. */
  readonly path: string;
  readonly status: 200 | 202;
  readonly summary: string;
  readonly handle: (context: RouteContext) => unknown;
}
