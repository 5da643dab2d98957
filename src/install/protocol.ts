/**
 * What the daemon asks its installer process for, and what it answers: one JSON request on standard
 * input, NDJSON replies on standard output, the process ends after the last one. The bulk work
 * (hash, decompress, write, read back, replicate) never runs in the daemon's loop. Imports only
 * core.
 */
import type { ErrorReport } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Progress, Release, Sha256, Slot, SlotClass } from '../core/model.ts';

/** Where a TLS peer is and how both sides prove themselves; keys are read from `keysDir`. */
export interface BulkEndpoint {
  readonly host: string;
  readonly port: number;
  readonly keysDir: string;
}

/** The one request of an installer process. */
export type InstallerRequest =
  | {
      /** Signature, manifest, index and every chunk of a bundle file; writes nothing. */
      readonly do: 'verify';
      readonly path: string;
      readonly trustRoot: string;
    }
  | {
      /** Verifies a bundle file while copying it into the depot of this node; resumes. */
      readonly do: 'stage';
      readonly path: string;
      readonly trustRoot: string;
      readonly depotDir: string;
    }
  | {
      /** Serves one depot file to the peer over mutual TLS until it is stopped. */
      readonly do: 'serve';
      readonly path: string;
      readonly listen: BulkEndpoint;
    }
  | {
      /** Pulls a bundle from the peer, verifying while it arrives; resumes where it stopped. */
      readonly do: 'fetch';
      readonly from: BulkEndpoint;
      readonly bundle: Sha256;
      readonly bytes: number;
      readonly trustRoot: string;
      readonly depotDir: string;
    }
  | {
      /** Writes images of a depot bundle into slots that the caller has marked invalid. */
      readonly do: 'install';
      readonly path: string;
      readonly trustRoot: string;
      readonly targets: readonly InstallTarget[];
      /** Preallocated file that holds the resume hint. */
      readonly progressFile: string;
      readonly readBack: boolean;
      /** Wipe the slot first. */
      readonly format: boolean;
    };

/** One image, and the slot that it goes into. */
export interface InstallTarget {
  readonly image: string;
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly device: string;
  readonly sizeBytes: number;
  /** The slot of the same class that runs, as its seal says; a delta is applied against it. */
  readonly base?: {
    readonly device: string;
    readonly sizeBytes: number;
    readonly imageId: Sha256;
  };
}

/** Answer to `verify`, `stage` and `fetch`. */
export interface VerifyResult {
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly manifest: Manifest;
}

/** Answer to `install`: what the daemon seals the slots with. */
export interface InstallResult {
  readonly images: readonly {
    readonly class: SlotClass;
    readonly slot: Slot;
    readonly imageId: Sha256;
    readonly rawBytes: number;
    readonly rawSha256: Sha256;
    /** As the signed manifest says; what boots later reports its own release file. */
    readonly release: Release;
    /** As the signed manifest says, for the seal. */
    readonly runsWith: string;
    /** Written by this run; with `format` the zeros behind the image count too. */
    readonly writtenBytes: number;
    /** Found in the slot (and hashed) where a finished install had left them. */
    readonly skippedBytes: number;
    /** Found in the slot (and hashed) where an interrupted install had left them. */
    readonly resumedBytes: number;
  }[];
}

/** One line of the answer; `done` or `failed` is the last one. */
export type InstallerReply =
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'done'; readonly result: VerifyResult | InstallResult | null }
  | { readonly type: 'failed'; readonly error: ErrorReport };
