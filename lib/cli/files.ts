/**
 * The files that flags name.
 *
 * @module
 */

import { readAtMost } from "../bytes.ts";
import { MAX_FLAG_FILE_BYTES } from "../limits.ts";
import { Failure, MissingPermission } from "./values.ts";

/** Reads the token in a file that `--token-file` names. */
export async function readToken(file: string): Promise<string> {
  const token = (await readFlagFile("--token-file", file)).trim();
  if (/^[\w\-.~+/]+=*$/.test(token)) return token;
  throw new Failure(`--token-file ${file}: expected one token of letters, digits and -._~+/ (RFC 6750 §2.1)`);
}

/** Reads the user and the password in a file that `--etcd-user-file` names. */
export async function readUser(file: string): Promise<{ name: string; password: string }> {
  const line = (await readFlagFile("--etcd-user-file", file)).replace(/\r?\n$/, "");
  const colon = line.indexOf(":");
  if (colon > 0 && !/[\r\n]/.test(line)) return { name: line.slice(0, colon), password: line.slice(colon + 1) };
  throw new Failure(`--etcd-user-file ${file}: expected one line, USER:PASSWORD`);
}

/**
 * Reads certificates that are to be trusted, in PEM.
 *
 * @throws {Failure} If there is none in the file, or one that cannot be read.
 */
export async function readCertificates(flag: string, file: string): Promise<string> {
  const text = await readFlagFile(flag, file);
  const certificates = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (certificates.length === 0) throw new Failure(`${flag} ${file}: expected certificates in PEM, saw none`);
  const { X509Certificate } = await import("node:crypto");
  certificates.forEach((certificate, i) => {
    try {
      new X509Certificate(certificate);
    } catch (error) {
      const which = certificates.length === 1 ? "the certificate" : `certificate ${i + 1}`;
      throw new Failure(`${flag} ${file}: ${which} cannot be read: ${(error as Error).message}`);
    }
  });
  return text;
}

/** Reads a small file of text that a flag names. */
export async function readFlagFile(flag: string, file: string): Promise<string> {
  return new TextDecoder().decode(await readFile(`${flag} ${file}`, file, MAX_FLAG_FILE_BYTES));
}

/**
 * Reads a file, or the standard input for `-`, whole.
 *
 * @param what How it was named, for the error.
 * @param most How many bytes it may have.
 * @throws {Failure} If it cannot be read, or has more.
 */
export async function readFile(what: string, file: string, most: number): Promise<Uint8Array> {
  try {
    using opened = file === "-" ? undefined : await Deno.open(file);
    return await readAtMost(opened ?? Deno.stdin, most);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new Failure(`${what}: the file has more than the ${most} bytes that are read`);
    }
    if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`${what} needs a permission`);
    throw new Failure(`${what}: ${(error as Error).message}`);
  }
}

/**
 * Makes a file that is not there yet, for its owner alone.
 *
 * @throws {Failure} If there is one, or it cannot be made.
 */
export async function makeFile(flag: string, file: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(file, { write: true, createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw new Failure(`${flag} ${file}: the file is there already`);
    if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`${flag} ${file} needs a permission`);
    throw new Failure(`${flag} ${file}: ${(error as Error).message}`);
  }
}
