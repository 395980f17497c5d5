/**
 * How this program was started, and how to start it again: as a script with Deno's permission flags, or as the
 * executable that `deno compile` makes. Whatever differs between the two is decided here.
 *
 * @module
 */

import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Which files a command reads and writes: some, any (`true`), or none (an empty list). */
export interface FileNeeds {
  /** Files to read. */
  readonly read: true | readonly string[];
  /** Files to write. */
  readonly write: true | readonly string[];
  /** Whether files to read may be named later, as `@FILE` at a prompt. */
  readonly readsLater?: boolean;
}

/** How the program was started. */
export interface Start {
  /** Whether it is an executable made by `deno compile`. */
  readonly standalone: boolean;
  /** Its main module, as a path that works from the current folder. */
  readonly script: string;
  /** Whether commands are typed into a Windows shell. */
  readonly windows: boolean;
}

/** How this process was started. */
export function thisStart(): Start {
  const { standalone, os } = Deno.build;
  return { standalone, script: standalone ? "" : scriptPath(), windows: os === "windows" };
}

function scriptPath(): string {
  const file = fileURLToPath(Deno.mainModule);
  try {
    return relative(Deno.cwd(), file) || file;
  } catch {
    // The current folder was removed.
    return file;
  }
}

/** The command that starts the program with these arguments and all permissions it needs, to be typed as it is. */
export function commandLine(args: readonly string[], needs: FileNeeds, start: Start = thisStart()): string {
  const words = start.standalone ? ["wiretable"] : [
    "deno",
    "run",
    "--allow-net",
    ...permissionFlag("--allow-read", needs.read),
    ...permissionFlag("--allow-write", needs.write),
    start.script,
  ];
  return [...words, ...args].map((word) => quoteForShell(word, start.windows)).join(" ");
}

function permissionFlag(flag: string, files: true | readonly string[]): string[] {
  if (files === true) return [flag];
  return files.length === 0 ? [] : [`${flag}=${files.map((file) => file.replaceAll(",", ",,")).join(",")}`];
}

/** A word as a shell takes it for one: POSIX shells, or cmd and PowerShell. */
function quoteForShell(word: string, windows: boolean): string {
  if (/^[\w@%+=:,./\\-]+$/.test(word) && (windows || !word.includes("\\"))) return word;
  return windows ? `"${word.replaceAll('"', '\\"')}"` : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * The permissions to give up at the start. An executable carries those of every flag in it, so it keeps only what this
 * command needs; a script has been given what its user wanted it to have.
 */
export function surplusPermissions(needs: FileNeeds, start: Start = thisStart()): ("read" | "write")[] {
  if (!start.standalone) return [];
  return (["read", "write"] as const).filter((name) => {
    if (name === "read" && needs.readsLater) return false;
    return needs[name] !== true && needs[name].length === 0;
  });
}
