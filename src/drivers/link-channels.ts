/**
 * The network and the serial channel as one link: messages go over the network while that is up,
 * and over the serial line only while it is not; what either of them brings is heard. Always holds:
 * the serial line has its heartbeat all the time, so its state is known before it is needed; a
 * message that came over one channel and again over the other does no harm, since messages are
 * states. Imports ports.
 */
import type { LinkChannel, PeerLink } from '../ports.ts';

const isUp = (link: PeerLink): boolean => link.channels().some((channel) => channel.up);

/** Joins the two; the joined link ends both. */
export function joinChannels(network: PeerLink, serial: PeerLink): PeerLink {
  const both = [network, serial] as const;
  return {
    send(message: object): void {
      (isUp(network) ? network : serial).send(message);
    },
    onMessage(listener: (message: unknown) => void): void {
      for (const link of both) link.onMessage(listener);
    },
    onChange(listener: () => void): void {
      for (const link of both) link.onChange(listener);
    },
    channels(): readonly LinkChannel[] {
      return both.flatMap((link) => link.channels());
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all(both.map((link) => link[Symbol.asyncDispose]()));
    },
  };
}
