/**
 * CRC-32C (Castagnoli), the checksum of everything that Tandem writes in place: journal frames and
 * two-copy values. It finds torn and rotten sectors; it authenticates nothing. Written out here
 * because core may not use node: modules, whose CRC has another polynomial anyway. Source: RFC
 * 3720, 12.1 and appendix B.4. Pure; imports nothing.
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  }
  return value >>> 0;
});

/** Checksum of the bytes, 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
