/**
 * How this program was started, and the command that starts it again: as a script with Deno's permission flags, as the
 * command of `deno install`, or as the executable of `deno compile`. All differences between them are handled here.
 */

import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The files that a command reads and writes: a list, any (`true`), or none (an empty list). */
export interface FileNeeds {
  /** Files to read. */
  readonly read: true | readonly string[];
  /** Files to write. */
  readonly write: true | readonly string[];
  /** Whether files may be named later, as `@FILE` at a prompt. */
  readonly readsLater?: boolean;
  /** A host whose certificate is accepted, whatever it is. */
  readonly anyCertificateOf?: string;
}

/** The word that an installed command passes before the user's. Nothing else shows that it is one. */
const INSTALLED = "--installed";

/** The arguments that the user gave. */
export const USER_ARGS: readonly string[] = Deno.args.slice(Deno.args[0] === INSTALLED ? 1 : 0);

export interface Start {
  /** Whether it is an executable of `deno compile`. */
  readonly standalone: boolean;
  /** The path of its main module, relative to the current folder if possible. */
  readonly script: string;
  /** Whether the shell is a Windows shell. */
  readonly windows: boolean;
  /** The permissions for files that `deno install` gave the command, if it is one. */
  readonly installed?: readonly ("read" | "write")[];
}

const FILE_PERMISSIONS = ["read", "write"] as const;

export function thisStart(): Start {
  const { standalone, os } = Deno.build;
  const windows = os === "windows";
  const script = standalone ? "" : fileURLToPath(Deno.mainModule);
  if (Deno.args[0] !== INSTALLED) return { standalone, script: fromHere(script), windows };
  const installed = FILE_PERMISSIONS.filter((name) => Deno.permissions.querySync({ name }).state === "granted");
  return { standalone, script, windows, installed };
}

function fromHere(file: string): string {
  try {
    return file && relative(Deno.cwd(), file);
  } catch {
    // The current folder was removed.
    return file;
  }
}

/** Returns the command that starts the program so with the permissions, or installs it with them if it is installed. */
export function commandLine(args: readonly string[], needs: FileNeeds, start: Start = thisStart()): string {
  const { installed } = start;
  if (installed !== undefined && needs.anyCertificateOf === undefined) {
    const names = FILE_PERMISSIONS.filter((name) => areNeeded(needs[name]) || installed.includes(name));
    const permissions = ["net", ...names].map((name) => `--allow-${name}`).join(" ");
    const script = quoteForShell(start.script, start.windows);
    return `deno install --global --force --name wiretable ${permissions} ${script} -- ${INSTALLED}`;
  }
  const words = start.standalone ? ["wiretable"] : [
    "deno",
    "run",
    "--allow-net",
    ...FILE_PERMISSIONS.filter((name) => areNeeded(needs[name])).map((name) => permissionFlag(name, needs[name])),
    ...needs.anyCertificateOf === undefined ? [] : [`--unsafely-ignore-certificate-errors=${needs.anyCertificateOf}`],
    start.script,
  ];
  return [...words, ...args].map((word) => quoteForShell(word, start.windows)).join(" ");
}

export function exampleLine(args: readonly string[], start: Start = thisStart()): string {
  const standalone = start.standalone || start.installed !== undefined;
  return commandLine(args, { read: [], write: [] }, { ...start, standalone, installed: undefined });
}

export function insecureAdvice(start: Start = thisStart()): string {
  return start.standalone
    ? "--cacert FILE trusts a certificate"
    : "deno run --unsafely-ignore-certificate-errors=HOST accepts any certificate";
}

/** Returns what a user can do about a server whose certificate is refused. */
export function certificateAdvice(args: readonly string[], needs: FileNeeds, host: string): string {
  // Only the runtime can accept any certificate, and an executable takes none of its flags.
  return Deno.build.standalone
    ? `a certificate that is accepted: ${certificateCommand(host)}`
    : `to accept any certificate of ${host}: ${commandLine(args, { ...needs, anyCertificateOf: host })}`;
}

/** Returns the command that makes a certificate for a host which clients accept. */
export function certificateCommand(host: string): string {
  const isAddress = /^[\d.]+$|:/.test(host);
  const names = isAddress ? `IP:${host}` : host === "localhost" ? "DNS:localhost,IP:127.0.0.1" : `DNS:${host}`;
  return "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 365 " +
    `-subj /CN=${host} -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=${names}`;
}

function areNeeded(files: true | readonly string[]): boolean {
  return files === true || files.length > 0;
}

function permissionFlag(name: string, files: true | readonly string[]): string {
  const list = files === true ? "" : `=${files.map((file) => file.replaceAll(",", ",,")).join(",")}`;
  return `--allow-${name}${list}`;
}

/** Quotes a word for the shell: POSIX shells, or cmd and PowerShell, where @ and commas mean more. */
export function quoteForShell(word: string, windows: boolean = Deno.build.os === "windows"): string {
  if (windows ? /^[\w+=:./\\-]+$/.test(word) : /^[\w@%+=:,./-]+$/.test(word)) return word;
  return windows ? `"${word.replaceAll('"', '\\"')}"` : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Returns the permissions to revoke: an executable has those that any flag may need, a script those its user gave. */
export function surplusPermissions(needs: FileNeeds, start: Start = thisStart()): ("read" | "write")[] {
  if (!start.standalone) return [];
  return FILE_PERMISSIONS.filter((name) => !areNeeded(needs[name]) && !(name === "read" && needs.readsLater));
}
