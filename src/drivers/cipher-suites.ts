/**
 * Which cipher suites of TLS 1.3 the nodes offer each other, and in which order. A bundle goes over
 * the link whole, and a processor without instructions for AES takes four times as long for
 * AES-128-GCM as for ChaCha20-Poly1305, and eight times for AES-256-GCM, which OpenSSL would choose
 * (measured on the emulated appliance: 10, 5 and 22 MiB/s); with them AES-128-GCM is the quickest.
 * Always holds: all of them are offered, so that every two versions have one in common. Imports
 * node.
 */
import { readFileSync } from 'node:fs';

const CPU_INFO = '/proc/cpuinfo';
/** `flags` on x86, `Features` on ARM: proc(5); both call the instructions `aes`. */
const AES = /^(?:flags|Features)\s*:.*\saes(?:\s|$)/m;

const QUICK_WITH_AES = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const;
const QUICK_WITHOUT = [
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
] as const;

let own: string | null = null;

/** The suites for this machine, as the option `ciphers` of node:tls takes them. */
export function cipherSuites(): string {
  own ??= suitesFor(cpuInfo());
  return own;
}

/** The suites for a machine whose /proc/cpuinfo says this; empty = nothing is known of it. */
export function suitesFor(info: string): string {
  return (AES.test(info) ? QUICK_WITH_AES : QUICK_WITHOUT).join(':');
}

function cpuInfo(): string {
  try {
    return readFileSync(CPU_INFO, 'latin1');
  } catch {
    return '';
  }
}
