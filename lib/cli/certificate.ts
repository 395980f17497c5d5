/**
 * A server's certificate and its key: whether they fit together, and whether clients will take them.
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { Failure } from "./values.ts";

/** A certificate and its key, in PEM. */
export interface Identity {
  /** The certificate, and those that lead to a trusted one. */
  readonly cert: string;
  /** The key. */
  readonly key: string;
}

/** The files that they came from. */
export interface IdentityFiles {
  /** What `--cert` names. */
  readonly certFile: string;
  /** What `--key` names. */
  readonly keyFile: string;
  /** What the two flags' names start with: `etcd-`, or nothing. */
  readonly prefix?: string;
}

const KEY_START = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const CERTIFICATE_START = /-----BEGIN CERTIFICATE-----/;

/**
 * Checks a certificate and its key.
 *
 * @param now The time in milliseconds.
 * @returns Why clients will refuse the certificate, a line each; nothing if they will not.
 * @throws {Failure} If they cannot be used: a file holds something else, or they do not belong together.
 */
export function checkIdentity({ cert, key }: Identity, files: IdentityFiles, now: number = Date.now()): string[] {
  const { certFile, keyFile, prefix = "" } = files;
  const certFlag = `--${prefix}cert`;
  const keyFlag = `--${prefix}key`;
  const swapped = `are ${certFlag} and ${keyFlag} swapped?`;
  if (!CERTIFICATE_START.test(cert)) {
    const seen = KEY_START.test(cert) ? `a key: ${swapped}` : "none";
    throw new Failure(`${certFlag} ${certFile}: expected a certificate in PEM, saw ${seen}`);
  }
  if (!KEY_START.test(key)) {
    const seen = CERTIFICATE_START.test(key) ? `a certificate: ${swapped}` : "none";
    throw new Failure(`${keyFlag} ${keyFile}: expected a key in PEM, saw ${seen}`);
  }
  const certificate = read(`${certFlag} ${certFile}`, () => new X509Certificate(cert));
  const privateKey = read(`${keyFlag} ${keyFile}`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Failure(`${keyFlag} ${keyFile}: the key does not belong to the certificate in ${certFile}`);
  }
  return problems(certificate, now).map((problem) => `${certFlag} ${certFile}: clients will refuse it: ${problem}`);
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Failure(`${what}: it cannot be read: ${(error as Error).message.split("\n")[0]}`);
  }
}

function problems(certificate: X509Certificate, now: number): string[] {
  const found: string[] = [];
  if (certificate.ca) found.push("it is that of an authority, which may not be a server's own (basicConstraints)");
  if (certificate.subjectAltName === undefined) found.push("it names no host (subjectAltName)");
  if (now < Date.parse(certificate.validFrom)) found.push(`it is not valid before ${certificate.validFrom}`);
  if (now > Date.parse(certificate.validTo)) found.push(`it has expired on ${certificate.validTo}`);
  return found;
}
