/**
 * Untrusted text on its way into a sentence or onto a terminal. Always holds: the result has no
 * control character and no escape sequence, and a bounded length. Imports nothing.
 */

const SHOWN_MAX = 80;

/** At most 80 characters, in quotes, anything but printable ASCII shown as `?`. */
export function quoted(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, SHOWN_MAX).replaceAll(/[^\x20-\x7e]/g, '?'));
}
