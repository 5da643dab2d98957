/**
 * What the process that makes a support archive is told and what it says, each one JSON object a
 * line: the request on its standard input, progress and the end on its error output. Always holds:
 * a request carries nothing that must not be in an archive, so that the process which makes one
 * never has to know what is secret in a configuration. Imports core.
 */
import type { ErrorReport } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';

/** Longest request: status, history and records of a pair, with room. */
export const REQUEST_BYTES_MAX = 16 * 1024 * 1024;

/** Slots and boot chooser of a machine that has them on partitions. */
export interface SupportPartitions {
  /** The disk; null = the one disk that has them. */
  readonly disk: string | null;
  /** The boot loader's try counter; null = GRUB does not boot this machine. */
  readonly counter: string | null;
}

/** Where things lie on the node. */
export interface SupportPlaces {
  readonly stateDir: string;
  readonly runDir: string;
  readonly rootDir: string;
  readonly bootDir: string;
  readonly slotsDir: string;
  /** In place of folders. */
  readonly partitions?: SupportPartitions;
  readonly trustRoot: string;
}

/** Bounds of one archive. */
export interface SupportLimits {
  /** Of the whole archive, compressed. */
  readonly bytesMax: number;
  /** After this time of reading nothing more is read; what was read is whole. */
  readonly timeMs: number;
  /** Of each log that is taken, from its end. */
  readonly logBytes: number;
}

/** The limits unless the one who asks says otherwise. */
export const SUPPORT_TIME_MS = 120_000;
/** Newest bytes of each log. */
export const SUPPORT_LOG_BYTES = 4 * 1024 * 1024;

/** A file of the archive that the one who asks has at hand: an object as JSON, or a text. */
export interface SupportExtra {
  readonly path: string;
  readonly from: string;
  readonly value: unknown;
}

/** One archive that is asked for. */
export interface SupportRequest {
  readonly v: 1;
  /** Folder in the archive, and the first part of its file's name. */
  readonly name: string;
  /** Null when no configuration could be read. */
  readonly node: NodeId | null;
  readonly program: string;
  readonly places: SupportPlaces;
  readonly extras: readonly SupportExtra[];
  /** Things that are not in the archive, with the reason, for its README. */
  readonly absent: readonly string[];
  readonly limits: SupportLimits;
  /** Null: the archive goes to standard output. `freeBytes` stay free on that disk. */
  readonly out: { readonly path: string; readonly freeBytes: number } | null;
}

/** How far it is. */
export interface SupportProgress {
  readonly type: 'progress';
  readonly done: number;
  readonly total: number;
  /** What is being read now. */
  readonly what: string;
  /** Bytes of the archive so far. */
  readonly bytes: number;
}

/** The archive is whole. */
export interface SupportDone {
  readonly type: 'done';
  readonly bytes: number;
  /** Files in it. */
  readonly files: number;
  /** What could not be read, a sentence each; it stands in the manifest too. */
  readonly missing: readonly string[];
}

/** What the process says. */
export type SupportReply =
  SupportProgress | SupportDone | { readonly type: 'failed'; readonly error: ErrorReport };
