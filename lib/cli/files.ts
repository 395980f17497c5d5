/** The files named by flags. */

import { NOT_UTF8, readStart } from "../bytes.ts";
import { MAX_FLAG_FILE_BYTES, MAX_HISTORY_LINES, MAX_TOKENS } from "../limits.ts";
import { Failure } from "./values.ts";

/** Reads the tokens in the file of `--token-file`, one in each line that is not blank. */
export async function readTokens(file: string): Promise<string[]> {
  const lines = (await readFlagFile("--token-file", file)).split("\n").map((line) => line.trim());
  const tokens = lines.filter((line) => line !== "");
  const wrong = lines.findIndex((line) => !/^(?:[\w\-.~+/]+=*)?$/.test(line));
  if (tokens.length > 0 && tokens.length <= MAX_TOKENS && wrong === -1) return tokens;
  const count = tokens.length === 0 ? "none" : tokens.length;
  const seen = wrong === -1 ? count : `something else in line ${wrong + 1}`;
  const expected = `one token of letters, digits and -._~+/ (RFC 6750 §2.1) in each of up to ${MAX_TOKENS} lines`;
  throw new Failure(`--token-file ${file}: expected ${expected}, saw ${seen}`);
}

export async function readUser(file: string): Promise<{ name: string; password: string }> {
  const line = (await readFlagFile("--etcd-user-file", file)).replace(/\r?\n$/, "");
  if (line.includes("\ufffd")) throw new Failure(`--etcd-user-file ${file}: ${NOT_UTF8}`);
  const colon = line.indexOf(":");
  if (colon > 0 && !/[\r\n]/.test(line)) return { name: line.slice(0, colon), password: line.slice(colon + 1) };
  throw new Failure(`--etcd-user-file ${file}: expected one line, USER:PASSWORD`);
}

/** Reads trusted certificates in PEM, all of which have to be valid. */
export async function readCertificates(flag: string, file: string): Promise<string> {
  const text = await readFlagFile(flag, file);
  const { checkCertificates } = await import("./certificate.ts");
  checkCertificates(text, `${flag} ${file}`);
  return text;
}

export async function readFlagFile(flag: string, file: string): Promise<string> {
  return new TextDecoder().decode(await readFile(`${flag} ${file}`, file, MAX_FLAG_FILE_BYTES));
}

/** Reads a whole file of at most so many bytes, or the standard input for `-`; an error says what it is. */
export async function readFile(what: string, file: string, most: number): Promise<Uint8Array> {
  try {
    using opened = file === "-" ? undefined : await Deno.open(file);
    // Devices do not say how much they have.
    const { size = 0 } = await opened?.stat() ?? {};
    const bytes = size > most ? undefined : await readStart(opened ?? Deno.stdin, most + 1, most + 1, size + 1);
    if (bytes !== undefined && bytes.length <= most) return bytes;
  } catch (error) {
    throw cannotAccess(what, error);
  }
  throw new Failure(`${what}: the file has more than the ${most} octets that are read`);
}

/** Creates a new file that only its owner may access. On Windows it has the permissions of its folder. */
export async function makeFile(flag: string, file: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(file, { write: true, createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw new Failure(`${flag} ${file}: the file already exists`);
    throw cannotAccess(`${flag} ${file}`, error);
  }
}

function cannotAccess(what: string, error: unknown): Error {
  if (error instanceof Deno.errors.NotCapable) return new Deno.errors.NotCapable(`${what} needs a permission`);
  return new Failure(`${what}: ${reasonOf(error)}`);
}

/** Opens the history, only for its owner, without the oldest of too many lines. `note` is told if saving fails. */
export async function openHistory(name: string, note: (line: string) => void) {
  const what = `--history ${name}`;
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(name, { read: true, append: true, create: true, mode: 0o600 });
    const { isFile, mode } = await file.stat();
    // The mode of an existing file may be wider; Windows has none.
    if (isFile && mode !== null && (mode & 0o077) !== 0) await Deno.chmod(name, 0o600);
    const text = await readFlagFile("--history", name);
    const lines = text.split(/\r?\n/).filter((line) => line !== "");
    const kept = lines.slice(-MAX_HISTORY_LINES);
    if (kept.length < lines.length) await Deno.writeTextFile(name, kept.map((line) => `${line}\n`).join(""));
    return historyOf(kept, file, note);
  } catch (error) {
    file?.close();
    throw error instanceof Failure ? error : cannotAccess(what, error);
  }
}

function historyOf(lines: readonly string[], file: Deno.FsFile, note: (line: string) => void) {
  let failed = false;
  return {
    /** The lines of the file, oldest first. */
    lines,
    /** Appends a line immediately, unless it is empty or begins with a space. */
    add(line: string): void {
      if (failed || line.trim() === "" || line.startsWith(" ")) return;
      try {
        file.writeSync(new TextEncoder().encode(`${line}\n`));
      } catch (error) {
        failed = true;
        note(`The history is no longer saved: ${(error as Error).message}`);
      }
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/** Returns the system's reason, without its number and the name of the file, which stands before it. */
export function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/ \(os error \d+\)(?:: open '.*')?$/s, "");
}
