/** Checks certificates, and a server's key: whether they match, and whether clients will accept them. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { Failure } from "./values.ts";

/** A certificate and its key, in PEM. */
export interface Identity {
  /** The certificate, followed by its chain. */
  readonly cert: string;
  /** The key, not encrypted. */
  readonly key: string;
  /** Why clients will refuse it, one line for each reason. */
  readonly problems: readonly string[];
}

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
  /** The prefix of the two flags: `etcd-`, or empty. */
  readonly prefix?: string;
}

const KEY_START = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const CERTIFICATE_START = /-----BEGIN CERTIFICATE-----/;
const KEY = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----/s;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/s;
/** The two forms of an encrypted key: PKCS #8, and the older one with a header. */
const ENCRYPTED = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m;

/** Returns why clients will refuse a certificate, in lines. Throws a {@linkcode Failure} if it is none with this key. */
export function checkIdentity({ cert, key }: Omit<Identity, "problems">, files: Files, now = Date.now()): string[] {
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
  // A file may hold both, or text around them: each is read from its own block.
  const keyBlock = KEY.exec(key)?.[0] ?? key;
  if (ENCRYPTED.test(keyBlock)) {
    throw new Failure(`${keyFlag} ${keyFile}: the key is encrypted: openssl pkey -in ${keyFile} -out FILE decrypts it`);
  }
  const certificate = read(
    `${certFlag} ${certFile}: the certificate`,
    () => new X509Certificate(CERTIFICATE.exec(cert)?.[0] ?? cert),
  );
  const privateKey = read(`${keyFlag} ${keyFile}: the key`, () => createPrivateKey(keyBlock));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Failure(`${keyFlag} ${keyFile}: the key does not belong to the certificate in ${certFile}`);
  }
  return problems(certificate, now).map((problem) => `${certFlag} ${certFile}: clients will refuse it: ${problem}`);
}

/** @throws {Failure} If there is no certificate, or one is damaged. */
export function checkCertificates(text: string, what: string): void {
  const certificates = text.match(new RegExp(CERTIFICATE, "gs")) ?? [];
  if (certificates.length === 0) throw new Failure(`${what}: expected certificates in PEM, saw none`);
  certificates.forEach((certificate, i) => {
    const which = certificates.length === 1 ? "the certificate" : `certificate ${i + 1}`;
    read(`${what}: ${which}`, () => new X509Certificate(certificate));
  });
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Failure(`${what} is damaged (${(error as Error).message.split("\n")[0]})`);
  }
}

function problems(certificate: X509Certificate, now: number): string[] {
  const found: string[] = [];
  if (certificate.ca) found.push("it is a CA certificate, which a server may not use (basicConstraints)");
  if (certificate.subjectAltName === undefined) found.push("it names no host (subjectAltName)");
  if (now < Date.parse(certificate.validFrom)) found.push(`it is not valid before ${certificate.validFrom}`);
  if (now > Date.parse(certificate.validTo)) found.push(`it has expired on ${certificate.validTo}`);
  return found;
}
