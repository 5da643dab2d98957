/**
 * A serial port as a stream of bytes, opened by its path: 8 data bits, no parity, one stop bit,
 * flow control only where it is asked for, locked against other programs that lock. Always holds:
 * the native part of the package is loaded only when a port is opened, so a node without a serial
 * line never needs it; the ports of the machine are never searched, which would need udev; a port
 * is closed without waiting for bytes that the other end does not take. Imports core and, lazily,
 * serialport.
 */
import type { Duplex } from 'node:stream';
import { UpdateError } from '../core/errors.ts';

/** An open line. Its end shows as `close` or `error` of the stream. */
export interface SerialLine {
  readonly stream: Duplex;
  /** Gives the line back; what was not sent yet is lost. Idempotent. */
  close(): Promise<void>;
}

/** Bytes that the package reads at once, and that wait in it; a frame is much shorter. */
const BUFFER_BYTES = 4096;

/** How a line is told to wait; none for what has windows and checksums of its own. */
export type SerialFlow = 'none' | 'xonxoff' | 'rtscts';

/** How the system says that there is something at the path, and that it can never be a line. */
const NO_TERMINAL = /inappropriate ioctl|is a directory/i;

/**
 * Opens the port at `path` with `baud` bits per second. Throws `link.serial_failed` with the
 * system's words when there is none, another program has locked it, or the speed is not possible;
 * `detail.port` is false when what is there is no port and will not become one.
 */
export async function openSerialPort(
  path: string,
  baud: number,
  flow: SerialFlow = 'none',
): Promise<SerialLine> {
  try {
    const { SerialPort } = await import('serialport');
    const port = new SerialPort({
      path,
      baudRate: baud,
      autoOpen: false,
      lock: true,
      rtscts: flow === 'rtscts',
      xon: flow === 'xonxoff',
      xoff: flow === 'xonxoff',
      // A Ctrl-S by mistake is ended by any key.
      xany: flow === 'xonxoff',
      // The other end is not to notice that this program starts again.
      hupcl: false,
      highWaterMark: BUFFER_BYTES,
    });
    // Whoever has the line listens, too; without this one an early error would end the process.
    port.on('error', () => undefined);
    await called((done) => port.open(done));
    const close = async (): Promise<void> => {
      if (!port.isOpen) return;
      await called((done) => port.flush(done)).catch(() => undefined);
      await called((done) => port.close(done)).catch(() => undefined);
    };
    return { stream: port, close };
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    if (NO_TERMINAL.test(found)) {
      const message = `${path} is no serial port: it is a file or a device without a line`;
      throw new UpdateError('link.serial_failed', message, { cause, detail: { port: false } });
    }
    const words = found.replace(/^Error: /, '');
    throw new UpdateError('link.serial_failed', `${path}: ${words}`, { cause });
  }
}

/** Runs what takes a callback with an error. */
async function called(run: (done: (error: Error | null) => void) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  run((error) => {
    if (error === null || error === undefined) resolve();
    else reject(error);
  });
  await promise;
}
