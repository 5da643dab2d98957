/**
 * What runs in a guest of the bench so that this computer reaches the daemon's control socket: each
 * connection to one port is one to the daemon, and a connection to the other one stands as long as
 * the bridge does. Always holds: it listens on the network of the harness alone; it is started once
 * in a boot, after the daemon, whose own start it does not slow down. Pure; imports nothing.
 */

/** Ports of the guest: connections to the daemon, and the one that tells that the bridge stands. */
export const BRIDGE_PORTS = [7900, 7901] as const;
/** What the second port says at once. */
export const BRIDGE_READY = 'bridge';
const CONTROL_SOCKET = '/run/tandem/control.sock';
/** Address of the guest that the harness reaches and nobody else. */
const GUEST_ADDRESS = '10.0.2.15';
const MARK = '/run/bench-bridge';

const PROGRAM = `
const net = require("node:net");
const on = (port, serve) =>
  net.createServer({ allowHalfOpen: true }, serve).listen(port, "${GUEST_ADDRESS}");
on(${BRIDGE_PORTS[0]}, (client) => {
  const daemon = net.connect({ path: "${CONTROL_SOCKET}", allowHalfOpen: true });
  for (const [one, other] of [[client, daemon], [daemon, client]]) {
    one.pipe(other);
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
});
on(${BRIDGE_PORTS[1]}, (client) => {
  client.on("error", () => client.destroy());
  client.on("end", () => client.destroy());
  client.resume().write("${BRIDGE_READY}");
});
`;

/** Words for a shell of root that start the bridge, unless it runs in this boot already. */
export const START_BRIDGE =
  `mkdir ${MARK} 2>/dev/null && ( until [ -S ${CONTROL_SOCKET} ]; do usleep 200000; done; ` +
  `exec setsid node --max-semi-space-size=1 -e '${PROGRAM}' >/dev/null 2>&1 </dev/null ) &`;
