/**
 * A guest of one sector for the tests of the harness: the BIOS boots it, it greets on COM1 and then
 * obeys letters there. `wNx` fills sector N (a digit from 1, echoed) with the byte x, `gN` prints
 * the first byte of sector N behind N, `f` flushes the cache of an IDE disk, `r` resets, `d` arms
 * the watchdog, `p` powers off; any other byte is echoed. Machine code, 16-bit real mode, loaded at
 * 7C00h. Imports node.
 */
import { writeFile } from 'node:fs/promises';

/** Size of the disk that the guest boots from. */
export const DISK_BYTES = 1024 * 1024;
export const SECTOR_BYTES = 512;

/** Machine code in hexadecimal, with its address and meaning. */
const CODE = [
  // Segments 0, stack below the program; the number of the drive as BIOS gave it is kept.
  '31c0', // 7c00 xor ax,ax
  '8ed8', // 7c02 mov ds,ax
  '8ec0', // 7c04 mov es,ax
  '8ed0', // 7c06 mov ss,ax
  'bc007c', // 7c08 mov sp,0x7c00
  'fc', // 7c0b cld
  '8816fa7c', // 7c0c mov [0x7cfa],dl
  'be0b7d', // 7c10 mov si,0x7d0b
  'e8ca00', // 7c13 call 7ce0
  // next: obeys one command.
  'e8b600', // 7c16 call 7ccf
  '3c77', // 7c19 cmp al,0x77
  '7419', // 7c1b je 7c36
  '3c67', // 7c1d cmp al,0x67
  '742e', // 7c1f je 7c4f
  '3c66', // 7c21 cmp al,0x66
  '743d', // 7c23 je 7c62
  '3c72', // 7c25 cmp al,0x72
  '7449', // 7c27 je 7c72
  '3c64', // 7c29 cmp al,0x64
  '744e', // 7c2b je 7c7b
  '3c70', // 7c2d cmp al,0x70
  '7472', // 7c2f je 7ca3
  'e8b700', // 7c31 call 7ceb
  'ebe0', // 7c34 jmp 7c16
  // write: a digit and a filling; int 13h, AH=43h.
  'e87900', // 7c36 call 7cb2
  'e89300', // 7c39 call 7ccf
  'bf0080', // 7c3c mov di,0x8000
  'b90002', // 7c3f mov cx,0x200
  'f3aa', // 7c42 rep stos es:[di],al
  'b80043', // 7c44 mov ax,0x4300
  'e87400', // 7c47 call 7cbe
  'be187d', // 7c4a mov si,0x7d18
  'eb5d', // 7c4d jmp 7cac
  // read: a digit; int 13h, AH=42h; prints the first byte.
  'e86000', // 7c4f call 7cb2
  'b442', // 7c52 mov ah,0x42
  'e86700', // 7c54 call 7cbe
  'a00080', // 7c57 mov al,[0x8000]
  'e88e00', // 7c5a call 7ceb
  'be2f7d', // 7c5d mov si,0x7d2f
  'eb4a', // 7c60 jmp 7cac
  // flush: ATA command E7h, then waits while the disk is busy.
  'baf701', // 7c62 mov dx,0x1f7
  'b0e7', // 7c65 mov al,0xe7
  'ee', // 7c67 out dx,al
  'ec', // 7c68 in al,dx
  'a880', // 7c69 test al,0x80
  '75fb', // 7c6b jne 7c68
  'be1f7d', // 7c6d mov si,0x7d1f
  'eb3a', // 7c70 jmp 7cac
  // reset: the reset control register of the chipset.
  'baf90c', // 7c72 mov dx,0xcf9
  'b006', // 7c75 mov al,0x6
  'ee', // 7c77 out dx,al
  // halt: until a reset.
  'f4', // 7c78 hlt
  'ebfd', // 7c79 jmp 7c78
  // dog: the i6300esb at PCI 00:05.0: 1 MHz, reset at the end (60h); enabled (68h). Its timers
  // start at 0FFFFFh, so that both stages together take two seconds.
  'baf80c', // 7c7b mov dx,0xcf8
  '66b860280080', // 7c7e mov eax,0x80002860
  '66ef', // 7c84 out dx,eax
  'bafc0c', // 7c86 mov dx,0xcfc
  'b80700', // 7c89 mov ax,0x7
  'ef', // 7c8c out dx,ax
  'baf80c', // 7c8d mov dx,0xcf8
  '66b868280080', // 7c90 mov eax,0x80002868
  '66ef', // 7c96 out dx,eax
  'bafc0c', // 7c98 mov dx,0xcfc
  'b002', // 7c9b mov al,0x2
  'ee', // 7c9d out dx,al
  'be287d', // 7c9e mov si,0x7d28
  'eb09', // 7ca1 jmp 7cac
  // off: power management, sleep state 5.
  'ba0406', // 7ca3 mov dx,0x604
  'b80020', // 7ca6 mov ax,0x2000
  'ef', // 7ca9 out dx,ax
  'ebcc', // 7caa jmp 7c78
  // say: prints what SI points at, then the next command.
  'e83100', // 7cac call 7ce0
  'e964ff', // 7caf jmp 7c16
  // sector: a digit, echoed, becomes the number of the sector.
  'e81a00', // 7cb2 call 7ccf
  'e83300', // 7cb5 call 7ceb
  '2c30', // 7cb8 sub al,0x30
  'a2037d', // 7cba mov [0x7d03],al
  'c3', // 7cbd ret
  // disk: int 13h with the packet; `!` says that it was refused.
  'befb7c', // 7cbe mov si,0x7cfb
  '8a16fa7c', // 7cc1 mov dl,[0x7cfa]
  'cd13', // 7cc5 int 0x13
  '7305', // 7cc7 jae 7cce
  'b021', // 7cc9 mov al,0x21
  'e81d00', // 7ccb call 7ceb
  'c3', // 7cce ret
  // getc: waits, halted between ticks of the clock, for a byte from COM1.
  'bafd03', // 7ccf mov dx,0x3fd
  'ec', // 7cd2 in al,dx
  'a801', // 7cd3 test al,0x1
  '7504', // 7cd5 jne 7cdb
  'fb', // 7cd7 sti
  'f4', // 7cd8 hlt
  'ebf4', // 7cd9 jmp 7ccf
  'baf803', // 7cdb mov dx,0x3f8
  'ec', // 7cde in al,dx
  'c3', // 7cdf ret
  // print: the text at SI up to its zero.
  'ac', // 7ce0 lods al,ds:[si]
  '84c0', // 7ce1 test al,al
  '7405', // 7ce3 je 7cea
  'e80300', // 7ce5 call 7ceb
  'ebf6', // 7ce8 jmp 7ce0
  'c3', // 7cea ret
  // putc: a byte to COM1.
  '50', // 7ceb push ax
  'bafd03', // 7cec mov dx,0x3fd
  'ec', // 7cef in al,dx
  'a820', // 7cf0 test al,0x20
  '74fb', // 7cf2 je 7cef
  '58', // 7cf4 pop ax
  'baf803', // 7cf5 mov dx,0x3f8
  'ee', // 7cf8 out dx,al
  'c3', // 7cf9 ret
  // Data: drive; packet of int 13h: its size, one sector, buffer 0000:8000, number of the sector.
  '00', // 7cfa
  '1000010000800000', // 7cfb
  '0000000000000000', // 7d03
];
/** What the guest prints, in the order of their addresses from 7d0b on. */
const TEXTS = ['guest ready\n', 'wrote\n', 'flushed\n', 'armed\n', '\n'];

/** The boot sector. */
export function bootSector(): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES);
  const program = Buffer.from(CODE.join(''), 'hex');
  const texts = Buffer.from(TEXTS.map((text) => `${text}\0`).join(''));
  program.copy(sector);
  texts.copy(sector, program.length);
  sector.writeUInt16LE(0xaa55, SECTOR_BYTES - 2);
  return sector;
}

/** Writes a raw disk that boots the guest; all its other sectors are zero. */
export async function makeGuestDisk(path: string): Promise<void> {
  const disk = Buffer.alloc(DISK_BYTES);
  bootSector().copy(disk);
  await writeFile(path, disk);
}
