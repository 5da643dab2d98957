/**
 * What a machine is made of, and the command line of QEMU for it. Always holds: software emulation,
 * also where there is a /dev/kvm; nothing that the specification does not name (no display, no
 * default devices, no user's configuration); every device at a fixed address of the PCI bus, so
 * that a snapshot and the watchdog's registers do not depend on the others. Pure; imports core.
 */
import type { Duplex } from 'node:stream';
import { UpdateError } from '../../src/core/errors.ts';

/** Files of a disk; a path that is relative is relative to the harness. */
export interface DiskSpec {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** How the guest sees it; default `virtio`. `ide` is for guests without a driver. */
  readonly bus?: 'virtio' | 'ide';
  /**
   * Keep a log of every write and flush beside the disk, which must be raw: one file per boot in
   * the machine's folder (`Machine.writeLogs`).
   */
  readonly logWrites?: boolean;
}

/** A network card. */
export type NicSpec =
  | {
      /** A cable to one other machine on this computer: two unix datagram sockets. */
      readonly kind: 'link';
      readonly name: string;
      readonly mac: string;
      /** Socket of this end and of the other end; at most 107 bytes each. */
      readonly local: string;
      readonly remote: string;
    }
  | {
      /** Ports of the guest on this computer's loopback interface; the guest has no way out. */
      readonly kind: 'user';
      readonly name: string;
      readonly mac: string;
      readonly forwards: readonly ForwardSpec[];
    };

/** A port of the guest on this computer's loopback interface. */
export interface ForwardSpec {
  /** 0 = the kernel chooses one: `Machine.forwardedPort`. */
  readonly hostPort: number;
  /** Each once per machine. */
  readonly guestPort: number;
  /** Address of the guest in 10.0.2.0/24; default 10.0.2.15. The guest may give it up. */
  readonly guestAddress?: string;
}

/** A virtio-serial port, /dev/vportNpM in a Linux guest; its name is in /sys/class/virtio-ports. */
export interface PortSpec {
  readonly name: string;
  /** Called once for every boot, before the guest runs, with what the guest writes and reads. */
  serve(stream: Duplex): void;
}

/** What a machine is made of. */
export interface MachineSpec {
  /** For messages; letters, digits, minus. */
  readonly name: string;
  /** Folder of this machine alone: serial log, write logs, QEMU's own words. Made when missing. */
  readonly dir: string;
  readonly disk: DiskSpec | null;
  /** Default 256. */
  readonly memoryMiB?: number;
  /** QEMU's name of the processor; default `qemu64` with random numbers, which a start needs. */
  readonly cpu?: string;
  /** Boot this kernel directly, past BIOS disk boot and boot loader. */
  readonly kernel?: { readonly image: string; readonly initrd?: string; readonly append: string };
  /**
   * After a reset by guest or watchdog: `respawn` (default) = a fresh process, so that memory is
   * really lost; `end` = the machine stays off.
   */
  readonly resets?: 'respawn' | 'end';
  /** An i6300esb that resets the machine; default true. */
  readonly watchdog?: boolean;
  readonly nics?: readonly NicSpec[];
  readonly ports?: readonly PortSpec[];
  /** Serial lines after the first one, at most three: /dev/ttyS1 and so on in a Linux guest. */
  readonly serials?: readonly PortSpec[];
  /** The first boot goes on from this snapshot of the disk instead of a power-on. */
  readonly loadSnapshot?: string;
  /** More arguments of QEMU. */
  readonly extra?: readonly string[];
}

/** Name of the disk's block node, for QMP. */
export const DISK_NODE = 'disk0';
/** Length of a unix socket's path that the kernel takes: unix(7), 108 with the closing zero. */
const SOCKET_PATH_BYTES_MAX = 107;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/;

/** First file descriptors that QEMU gets: monitor, serial line, then what `streamsOf` lists. */
export const FIRST_FD = { qmp: 3, serial: 4, streams: 5 } as const;
/** A PC has four serial lines; the first one is the console. */
const SERIALS_MAX = 3;

/** Everything of a machine that is served as a stream, in the order of the file descriptors. */
export function streamsOf({ ports = [], serials = [] }: MachineSpec): readonly PortSpec[] {
  return [...ports, ...serials];
}

/** What differs from boot to boot of one machine. */
export interface BootSpec {
  readonly serialFile: string;
  /** Empty file that takes the log of the disk's writes; null = no log is kept. */
  readonly writeLog: string | null;
  readonly loadSnapshot: string | null;
  /** Host ports that were chosen at an earlier boot, by guest port. */
  readonly forwards: ReadonlyMap<number, number>;
}

/** Arguments of QEMU for one boot. Throws `usage.invalid` for a specification that cannot work. */
export function commandLine(spec: MachineSpec, boot: BootSpec): string[] {
  checkSpec(spec);
  const { kernel, disk, memoryMiB = 256, cpu = 'qemu64,+rdrand' } = spec;
  const serial = `id=serial0,fd=${FIRST_FD.serial},logfile=${escaped(boot.serialFile)}`;
  const options: readonly (readonly string[])[] = [
    ['-name', spec.name],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-S'],
    ['-machine', 'pc', '-accel', 'tcg,thread=multi', '-cpu', cpu, '-m', String(memoryMiB)],
    // A reset ends the process: memory is lost as at a power cut, and a fresh process boots faster.
    ['-no-reboot', '-rtc', 'base=utc'],
    ['-chardev', `socket,id=qmp,fd=${FIRST_FD.qmp}`, '-mon', 'chardev=qmp,mode=control'],
    ['-chardev', `socket,${serial},logappend=on`, '-serial', 'chardev:serial0'],
    serialArguments(spec),
    kernel === undefined ? [] : ['-kernel', kernel.image, '-append', kernel.append],
    kernel?.initrd === undefined ? [] : ['-initrd', kernel.initrd],
    disk === null ? [] : diskArguments(disk, boot.writeLog, kernel === undefined),
    spec.watchdog === false ? [] : ['-device', 'i6300esb,addr=05', '-action', 'watchdog=reset'],
    portArguments(spec.ports ?? []),
    ...(spec.nics ?? []).map((nic, i) => nicArguments(nic, 8 + i, boot.forwards)),
    boot.loadSnapshot === null ? [] : ['-loadvm', boot.loadSnapshot],
    spec.extra ?? [],
  ];
  return options.flat();
}

/** A path inside a list of options, where QEMU reads a doubled comma as one. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}

function diskArguments(
  { path, format, bus }: DiskSpec,
  writeLog: string | null,
  isBooted: boolean,
): string[] {
  // The host's own flush is left out: what SIGKILL leaves behind is in the host's page cache,
  // flushed or not. What the guest flushes still leaves QEMU's memory first, and reaches the log.
  const file = `file.driver=file,file.filename=${escaped(path)},file.cache.no-flush=on`;
  const plain = `driver=${format},node-name=${DISK_NODE},discard=unmap,${file}`;
  const model = bus === 'ide' ? 'ide-hd,bus=ide.0' : 'virtio-blk-pci,addr=04';
  // A kernel that is booted directly has the first place.
  const device = `${model},write-cache=on${isBooted ? ',bootindex=0' : ''}`;
  if (writeLog === null) {
    return ['-blockdev', plain, '-device', `${device},drive=${DISK_NODE}`];
  }
  const log = `log.driver=file,log.filename=${escaped(writeLog)},log.cache.no-flush=on`;
  const filter = `driver=blklogwrites,node-name=logged0,file=${DISK_NODE}`;
  const logged = `${filter},log-sector-size=512,${log}`;
  return ['-blockdev', plain, '-blockdev', logged, '-device', `${device},drive=logged0`];
}

function portArguments(ports: readonly PortSpec[]): string[] {
  if (ports.length === 0) return [];
  const options = ports.map(({ name }, i) => [
    '-chardev',
    `socket,id=port${i},fd=${FIRST_FD.streams + i}`,
    '-device',
    `virtserialport,bus=ports.0,nr=${i + 1},chardev=port${i},name=${name}`,
  ]);
  return ['-device', 'virtio-serial-pci,id=ports,addr=06', ...options.flat()];
}

function serialArguments({ ports = [], serials = [] }: MachineSpec): string[] {
  return serials.flatMap((_line, i) => {
    const fd = FIRST_FD.streams + ports.length + i;
    const id = `serial${i + 1}`;
    return ['-chardev', `socket,id=${id},fd=${fd}`, '-serial', `chardev:${id}`];
  });
}

function nicArguments(nic: NicSpec, slot: number, forwards: ReadonlyMap<number, number>): string[] {
  const addr = slot.toString(16).padStart(2, '0');
  // No boot ROM: nobody boots from the network, and QEMU would need its file.
  const device = `virtio-net-pci,netdev=${nic.name},mac=${nic.mac},addr=${addr},romfile=`;
  return ['-netdev', netdev(nic, forwards), '-device', device];
}

function netdev(nic: NicSpec, chosen: ReadonlyMap<number, number>): string {
  if (nic.kind === 'link') {
    const ends = [
      `local.type=unix,local.path=${escaped(nic.local)}`,
      `remote.type=unix,remote.path=${escaped(nic.remote)}`,
    ];
    return `dgram,id=${nic.name},${ends.join(',')}`;
  }
  const forwards = nic.forwards.map(
    ({ hostPort, guestPort, guestAddress = '' }) =>
      `,hostfwd=tcp:127.0.0.1:${chosen.get(guestPort) ?? hostPort}-${guestAddress}:${guestPort}`,
  );
  return `user,id=${nic.name},restrict=on,ipv6=off${forwards.join('')}`;
}

function checkSpec(spec: MachineSpec): void {
  const nics = spec.nics ?? [];
  const names = [spec, ...nics, ...streamsOf(spec)].map(({ name }) => name);
  const bad = names.find((name) => !NAME.test(name));
  if (bad !== undefined) {
    const message = `The name ${JSON.stringify(bad)} does not fit ${String(NAME)}`;
    throw new UpdateError('usage.invalid', message, { detail: { name: bad } });
  }
  const paths = nics.flatMap((nic) => (nic.kind === 'link' ? [nic.local, nic.remote] : []));
  for (const path of paths) {
    const bytes = new TextEncoder().encode(path).length;
    if (bytes <= SOCKET_PATH_BYTES_MAX) continue;
    const message =
      `The path of the socket ${path} has ${bytes} bytes, and at most ` +
      `${SOCKET_PATH_BYTES_MAX} are possible: use a shorter folder`;
    throw new UpdateError('usage.invalid', message, { detail: { path, bytes } });
  }
  if ((spec.serials ?? []).length > SERIALS_MAX) {
    throw new UpdateError('usage.invalid', `A machine has at most ${SERIALS_MAX + 1} serial lines`);
  }
  if (spec.disk?.logWrites === true && spec.disk.format !== 'raw') {
    throw new UpdateError('usage.invalid', 'Writes are logged of a raw disk only, not of a qcow2');
  }
}
