/**
 * An authority of the test's own, certificates that it signs, and a list of those that it revoked:
 * made on the spot, in a folder. Imports @peculiar/x509.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const FROM = new Date('2000-01-01T00:00:00Z');
const UNTIL = new Date('2099-01-01T00:00:00Z');

/** A certificate with its key, as PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly serial: string;
}

export interface Authority {
  readonly pem: string;
  /** A certificate of this common name; `until` in the past for one that has expired. */
  readonly issue: (name: string, use?: 'server' | 'client', until?: Date) => Promise<Identity>;
  /** The list of revoked certificates, as PEM. */
  readonly revoke: (identities: readonly Identity[]) => Promise<string>;
}

const pemOf = async (key: webcrypto.CryptoKey): Promise<string> => {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(bytes, 'PRIVATE KEY');
};

/** Makes one. */
export async function makeAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: FROM,
    notAfter: UNTIL,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
    ],
  });
  let serials = 16;
  return {
    pem: root.toString('pem'),
    issue: async (subject, use = 'client', until = UNTIL) => {
      const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const serial = (++serials).toString(16);
      const names = use === 'server' ? [{ type: 'ip', value: '127.0.0.1' } as const] : [];
      const cert = await x509.X509CertificateGenerator.create({
        serialNumber: serial,
        subject: `CN=${subject}`,
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: FROM,
        notAfter: until,
        extensions: [
          new x509.ExtendedKeyUsageExtension([use === 'server' ? SERVER_AUTH : CLIENT_AUTH]),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        ],
      });
      return { cert: cert.toString('pem'), key: await pemOf(own.privateKey), serial };
    },
    revoke: async (identities) => {
      const list = await x509.X509CrlGenerator.create({
        issuer: root.subject,
        thisUpdate: FROM,
        nextUpdate: UNTIL,
        entries: identities.map(({ serial }) => ({ serialNumber: serial, revocationDate: FROM })),
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
      });
      return x509.PemConverter.encode(list.rawData, 'X509 CRL');
    },
  };
}

/** Writes what a listener needs into a folder; returns the paths. */
export async function writeFiles(
  folder: string,
  server: Identity,
  authority: Authority,
): Promise<{ certificate: string; key: string; ca: string; crl: string | null }> {
  const at = (name: string): string => join(folder, name);
  const files = { certificate: at('node.crt'), key: at('node.key'), ca: at('ca.crt'), crl: null };
  await writeFile(files.certificate, server.cert);
  await writeFile(files.key, server.key, { mode: 0o600 });
  await writeFile(files.ca, authority.pem);
  return files;
}
