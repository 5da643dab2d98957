/**
 * The smallest kernel that GRUB's `linux` command loads and starts: it prints its command line on
 * the first serial line and then resets the machine or hangs. So the selection script under test is
 * the very file that appliances run, to its last command. Source of the format: the kernel's
 * Documentation/arch/x86/boot.rst (protocol 2.10). Imports nothing.
 */

/** What the kernel does when it has told its command line. */
export type StubEnd = 'reset' | 'hang';

const SECTOR_BYTES = 512;
/** Where a kernel that cannot be moved is loaded. */
const LOAD_ADDRESS = 0x10_0000;
const HEADER_END = 0x268;
/** Marks the end of the command line on the serial line. */
const END_MARK = ' KERNEL-END\r\n';

/** mov esi, [esi + 0x228] (the command line's address in the parameters); then print it. */
const TELL = [0x8b, 0xb6, 0x28, 0x02, 0x00, 0x00];
/** Prints the string at esi through the UART at 0x3f8, each byte when the one before has left. */
const PRINT = [
  [0xac, 0x84, 0xc0, 0x75, 0x01, 0xc3], // lodsb; test al, al; jnz +1; ret
  [0x88, 0xc3, 0x66, 0xba, 0xfd, 0x03], // mov bl, al; mov dx, 0x3fd
  [0xec, 0xa8, 0x40, 0x74, 0xfb], // in al, dx; test al, 0x40; jz -5
  [0x88, 0xd8, 0x66, 0xba, 0xf8, 0x03], // mov al, bl; mov dx, 0x3f8
  [0xee, 0xeb, 0xe6], // out dx, al; jmp to lodsb
].flat();
/** Reset by the chip set (port 0xcf9), then a halt that nothing ends. */
const RESET = [0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee];
const HANG = [0xfa, 0xf4, 0xeb, 0xfd];

/** The kernel as a file. */
export function stubKernel(end: StubEnd): Uint8Array {
  const file = Buffer.alloc(3 * SECTOR_BYTES);
  file[0x1f1] = 1; // one sector of set-up code after the first
  file.writeUInt32LE(SECTOR_BYTES / 16, 0x1f4); // size of the rest, in 16 bytes
  file.writeUInt16LE(0xaa55, 0x1fe);
  file.set([0xeb, HEADER_END - 0x202], 0x200);
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(0x020a, 0x206);
  file[0x211] = 1; // loaded high
  file.writeUInt32LE(LOAD_ADDRESS, 0x214);
  file.writeUInt32LE(0x37ff_ffff, 0x22c); // highest address of an initrd
  file.writeUInt32LE(0x1000, 0x230);
  file.writeUInt32LE(2047, 0x238); // longest command line
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 0x258);
  file.writeUInt32LE(0x1_0000, 0x260);
  file.set(code(end), 2 * SECTOR_BYTES);
  return file;
}

function code(end: StubEnd): Uint8Array {
  const last = [...(end === 'reset' ? RESET : []), ...HANG];
  const callBytes = 5;
  const markLoadBytes = 5;
  const print = TELL.length + callBytes + markLoadBytes + callBytes + last.length;
  const mark = print + PRINT.length;
  const call = (at: number): readonly number[] => [0xe8, ...word32(print - at - callBytes)];
  const head = [...TELL, ...call(TELL.length)];
  const loadMark = [0xbe, ...word32(LOAD_ADDRESS + mark)];
  const second = head.length + markLoadBytes;
  const bytes = [...head, ...loadMark, ...call(second), ...last, ...PRINT];
  return Buffer.concat([Buffer.from(bytes), Buffer.from(`${END_MARK}\0`, 'latin1')]);
}

function word32(value: number): readonly number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return [...bytes];
}
