/**
 * The configuration of DRBD as text, made anew at every start: one resource with one volume. Always
 * holds: writes are acknowledged by both disks (protocol C); a lost peer freezes the primary until
 * the fence-peer handler has its word; a split brain is never resolved by itself; nobody without
 * the keys of the pair can connect. Options as in drbd.conf(5) of 8.4. Pure; imports core and the
 * addresses.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { UpdateError } from '../../src/core/errors.ts';
import { parseAddress } from '../storage/link.ts';

/** Name of the one resource. */
export const RESOURCE = 'tandem';
/** Number of its one device. */
export const MINOR = 0;
/** Its one device. */
export const DEVICE = `/dev/drbd${MINOR}`;
/** Where drbdadm looks for its configuration: /etc/drbd.conf of a system image is a link to it. */
export const CONFIG_FILE = '/run/tandem/drbd.conf';
/** What the kernel's fence-peer handler calls; in memory, as the configuration is. */
export const FENCE_SCRIPT = '/run/tandem/drbd/fence-peer';

/** DRBD counts in tenths of seconds. */
const PING_TIMEOUT = 15;
const TIMEOUT = 9;
/** Requests that the peer's disk leaves open for TIMEOUT times this count end the connection. */
const KO_COUNT = 10;
/** With it a lost peer is seen after at most PING_S + PING_TIMEOUT / 10 seconds. */
const PING_S = 1;
const CONNECT_S = 1;
/** What a resync may take of the link and of the disks, in KiB per second. */
const RESYNC_KIB_MAX = 102_400;
/** Name of the other side in the configuration; drbdadm compares it with its own host name. */
const PEER_NAME = 'tandem-peer';

/** What differs between appliances. */
export interface ConfigSpec {
  /** Host name of this machine, as `uname -n` tells it. */
  readonly hostname: string;
  /** `host:port` of the storage software; DRBD has the port after it. */
  readonly listen: string;
  readonly peer: string;
  /** The partition with the copy. */
  readonly disk: string;
  /** Shared by both nodes and nobody else. */
  readonly secret: string;
}

/** The address of DRBD beside that of the storage software; throws `config.invalid`. */
export function addressBeside(address: string): string {
  const { host, port } = parseAddress(address);
  const family = isIP(host);
  const nowhere = host === '0.0.0.0' || host === '::';
  if (family === 0 || nowhere || port === 65_535) {
    const message = `${address}: DRBD needs the address of one interface, and a port below 65535`;
    throw new UpdateError('config.invalid', message);
  }
  return family === 6 ? `ipv6 [${host}]:${port + 1}` : `ipv4 ${host}:${port + 1}`;
}

/**
 * The secret of the connection, the same on both nodes: from the keys that each has pinned of the
 * other and from the id of the pair, which the pairing kept to the two. DRBD takes 63 characters at
 * most.
 */
export function secretOf(pair: string, keys: readonly [mine: string, theirs: string]): string {
  const text = ['tandem drbd', pair, ...keys.toSorted()].join('\n');
  return createHash('sha256').update(text).digest('base64url');
}

/** The whole configuration file. */
export function configText(spec: ConfigSpec): string {
  const own = addressBeside(spec.listen);
  const peer = addressBeside(spec.peer);
  const name = spec.hostname === PEER_NAME ? `${PEER_NAME}-2` : PEER_NAME;
  const host = (title: string, address: string): string =>
    [
      `  on ${title} {`,
      `    address ${address};`,
      '    volume 0 {',
      `      device ${DEVICE} minor ${MINOR};`,
      `      disk ${spec.disk};`,
      '      meta-disk internal;',
      '    }',
      '  }',
    ].join('\n');
  return `# Written by the storage software at its start; changes are lost.
global { usage-count no; }
resource ${RESOURCE} {
  handlers { fence-peer "${FENCE_SCRIPT}"; }
  disk {
    on-io-error detach;
    fencing resource-and-stonith;
    c-max-rate ${RESYNC_KIB_MAX}k;
    resync-rate ${RESYNC_KIB_MAX}k;
  }
  net {
    protocol C;
    cram-hmac-alg sha256;
    shared-secret "${spec.secret}";
    verify-alg crc32c;
    timeout ${TIMEOUT};
    ko-count ${KO_COUNT};
    ping-int ${PING_S};
    ping-timeout ${PING_TIMEOUT};
    connect-int ${CONNECT_S};
    after-sb-0pri disconnect;
    after-sb-1pri disconnect;
    after-sb-2pri disconnect;
    rr-conflict disconnect;
  }
${host(spec.hostname, own)}
${host(name, peer)}
}
`;
}
