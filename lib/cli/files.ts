/**
 * The files that flags name.
 *
 * @module
 */

import { MAX_FLAG_FILE_BYTES } from "../limits.ts";
import { Failure, MissingPermission } from "./values.ts";

/** Reads the token in a file that `--token-file` names. */
export async function readToken(file: string): Promise<string> {
  const token = (await readFlagFile("--token-file", file)).trim();
  if (/^[\w\-.~+/]+=*$/.test(token)) return token;
  throw new Failure(`--token-file ${file}: expected one token of letters, digits and -._~+/ (RFC 6750 §2.1)`);
}

/** Reads a small file that a flag names. */
export async function readFlagFile(flag: string, file: string): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size > MAX_FLAG_FILE_BYTES) {
      throw new Failure(`${flag} ${file}: the file has ${size} bytes, at most ${MAX_FLAG_FILE_BYTES} are read`);
    }
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`${flag} ${file} needs a permission`);
    throw new Failure(`${flag} ${file}: ${(error as Error).message}`);
  }
}
