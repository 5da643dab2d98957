/**
 * A serial cable between the two machines of a pair, which the harness carries byte by byte. Always
 * holds: it stays as it is over boots of both machines and over snapshots; what is sent while the
 * cable is cut, while the other machine is off, or faster than it reads, is lost as on a real line
 * without flow control, and nobody has to wait. Imports core.
 */
import type { Duplex } from 'node:stream';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import type { PortSpec } from './command-line.ts';

/** Bytes on their way to a machine that does not read: a second at 115,200 bits. */
const WAITING_BYTES_MAX = 12 * 1024;

/** The cable; `endOf` gives what a machine is connected to. */
export class SerialCable {
  readonly #ends = new Map<NodeId, Duplex>();
  #isUp = true;
  #carriedBytes = 0;
  #lostBytes = 0;

  /** Whether the cable is whole. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Bytes that were carried to a machine so far, both directions. */
  get carriedBytes(): number {
    return this.#carriedBytes;
  }

  /** Bytes that nobody got. */
  get lostBytes(): number {
    return this.#lostBytes;
  }

  /** The serial line of one node's machine. */
  endOf(node: NodeId): PortSpec {
    return { name: 'cable', serve: (stream) => this.#serve(node, stream) };
  }

  /** Cuts the cable, in both directions. */
  cut(): void {
    this.#isUp = false;
  }

  /** Restores the cable. */
  restore(): void {
    this.#isUp = true;
  }

  #serve(node: NodeId, stream: Duplex): void {
    this.#ends.set(node, stream);
    stream.on('error', () => undefined);
    stream.once('close', () => {
      if (this.#ends.get(node) === stream) this.#ends.delete(node);
    });
    stream.on('data', (bytes: Buffer) => {
      const other = this.#isUp ? this.#ends.get(peerOf(node)) : undefined;
      const room = other === undefined ? 0 : WAITING_BYTES_MAX - other.writableLength;
      if (other === undefined || other.destroyed || room < bytes.length) {
        this.#lostBytes += bytes.length;
        return;
      }
      this.#carriedBytes += bytes.length;
      other.write(bytes);
    });
  }
}
