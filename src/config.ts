/**
 * The configuration of a node: type, schema, defaults, and the loader of the commented file
 * (JSON with comments). An error names the file, the line and the accepted values. Imports core.
 */
import type { NodeId } from './core/model.ts';
import type { Order } from './core/records.ts';

/** Host and port; 127.0.0.1 in the embedded default. */
export type Address = string;

export interface Config {
  readonly node: NodeId;
  readonly product: string;
  readonly hardware: string;
  /** Data partition: journal, depot, keys, trust root, logs. Never inside a slot. */
  readonly stateDir: string;
  /** Volatile files: sockets, unpacked storage software. */
  readonly runDir: string;
  /** Root of the booted system, where /etc/tandem-release is read. */
  readonly rootDir: string;
  /** Directory with check.d, health.d ...; default `<rootDir>/etc/tandem/hooks.d`. */
  readonly hooksDir: string;
  /** root.json with the keys that may sign bundles; default `<stateDir>/trust/root.json`. */
  readonly trustRoot: string;
  readonly control: { readonly socket: string; readonly group: string };
  readonly link: { readonly listen: Address; readonly peer: Address; readonly bulk: Address };
  readonly storage: {
    readonly listen: Address;
    readonly peer: Address;
    /** Unix socket of the storage software's API. */
    readonly socket: string;
    readonly dataDir: string;
  };
  readonly service: {
    readonly address: Address;
    /** Program of the workload, relative to rootDir; it is run with the node's own Node. */
    readonly program: string;
  };
  readonly slots: { readonly driver: 'file'; readonly dir: string };
  readonly boot: { readonly driver: 'file'; readonly dir: string };
  readonly policy: {
    readonly order: Order;
    readonly onSecondFailure: 'hold' | 'rollback';
    readonly retries: number;
    readonly tries: number;
    /** Seconds that a trial must be stable before it counts as healthy. */
    readonly stableS: number;
    /** Seconds that the first node serves before the second one is touched. */
    readonly soakS: number;
    readonly deadmanS: number;
    /** Hours after DONE until FINALIZE happens by itself; 0 = only by `tandem commit`. */
    readonly burnInH: number;
  };
}
