/**
 * Opens what reaches the peer: the link over its channels, and the fencer. Imports the
 * configuration, ports and the drivers.
 */
import { parseAddress, type Config } from '../config.ts';
import { peerOf } from '../core/model.ts';
import { commandFencer } from '../drivers/fence-command.ts';
import { noFencer } from '../drivers/fence-none.ts';
import { powerFencer } from '../drivers/fence-power.ts';
import type { PairKeys } from '../drivers/keys.ts';
import { joinChannels } from '../drivers/link-channels.ts';
import { openSerialLink, silentTicksFor } from '../drivers/link-serial.ts';
import { linkTimersFor, openTlsLink } from '../drivers/link-tls.ts';
import { openSerialPort } from '../drivers/serial-port.ts';
import type { Fencer, Host, PeerLink } from '../ports.ts';

/** The way to the peer's power switch, as the section `fence` names it. */
export function openFencer(config: Config, host: Host): Fencer {
  const { fencer, afterFence } = config.fence;
  const peer = peerOf(config.node);
  switch (fencer.kind) {
    case 'none':
      return noFencer();
    case 'power':
      return powerFencer({ peer, socket: fencer.socket, bootId: host.boot().bootId, afterFence });
    case 'command':
      return commandFencer({
        peer,
        command: fencer.command,
        timeoutMs: fencer.timeoutS * 1000,
        afterFence,
      });
  }
}

/** The link; `onReplaced`: the peer has another node in the place of this one. */
export async function openLink(
  config: Config,
  keys: PairKeys,
  onReplaced: () => void,
): Promise<PeerLink> {
  const { serial: path, serialBaud: baud, silentMs } = config.link;
  const network = await openTlsLink({
    node: config.node,
    listen: parseAddress(config.link.listen),
    peer: parseAddress(config.link.peer),
    keys,
    timers: linkTimersFor(silentMs),
    onReplaced,
  });
  if (path === null) return network;
  const open = () => openSerialPort(path, baud);
  const timers = { silentTicks: silentTicksFor(silentMs, baud) };
  return joinChannels(network, openSerialLink({ keys, path, baud, open, timers }));
}
