/**
 * Support archives as clients see them: what one node keeps, and the bounds of each. Keys are only
 * ever added. Pure types; imports only core.
 */
import type { NodeId } from './model.ts';

/** Largest archive in bytes, unless the one who asks says otherwise. */
export const SUPPORT_BYTES_MAX = 64 * 1024 * 1024;
/** Archives that a node keeps; the oldest ones go when a new one is whole. */
export const SUPPORT_KEPT_MAX = 5;
/** Names of archives: the id of the job that made one, with this ending. */
export const SUPPORT_ENDING = '.tar.gz';

/** One archive that is kept on a node. */
export interface SupportArchive {
  /** Name of the file: the id of its job and `.tar.gz`. */
  readonly name: string;
  readonly bytes: number;
  /** When it was finished, ISO 8601. */
  readonly at: string;
}

/** Answer to `GET /v1/support`. */
export interface SupportView {
  readonly node: NodeId;
  /** Folder of the archives on this node. */
  readonly dir: string;
  readonly keptMax: number;
  readonly bytesMax: number;
  /** Newest first. */
  readonly archives: readonly SupportArchive[];
}
