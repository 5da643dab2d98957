/** Addresses as the other node needs them on its command line. Imports nothing. */

/** The address of a socket; a wildcard says nothing to the other node, so it stays a word. */
export function addressText(address: { readonly host: string; readonly port: number }): string {
  if (address.host === '0.0.0.0' || address.host === '::') return `ADDRESS:${address.port}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
