/**
 * A file with the history of the prompt.
 *
 * @module
 */

import { MAX_HISTORY_BYTES, MAX_HISTORY_LINES } from "../limits.ts";
import { readFile } from "./files.ts";
import { Failure, MissingPermission } from "./values.ts";

/** The history of earlier sessions, to which lines of this one are appended immediately. */
export class HistoryFile implements Disposable {
  /** The lines of the file, oldest first. */
  readonly lines: readonly string[];
  readonly #file: Deno.FsFile;
  readonly #report: (line: string) => void;
  #failed = false;

  private constructor(lines: readonly string[], file: Deno.FsFile, report: (line: string) => void) {
    this.lines = lines;
    this.#file = file;
    this.#report = report;
  }

  /**
   * Opens or creates the file, which only its owner may access. If it has too many lines, the oldest are removed.
   *
   * @param report Receives one line if a later write fails.
   * @throws {Failure} If the file cannot be read or written.
   */
  static async open(name: string, report: (line: string) => void): Promise<HistoryFile> {
    const what = `--history ${name}`;
    let file: Deno.FsFile | undefined;
    try {
      file = await Deno.open(name, { read: true, append: true, create: true, mode: 0o600 });
      const { isFile, mode } = await file.stat();
      // The mode of an existing file may be wider; Windows has none.
      if (isFile && mode !== null && (mode & 0o077) !== 0) await Deno.chmod(name, 0o600);
      const text = new TextDecoder().decode(await readFile(what, name, MAX_HISTORY_BYTES));
      const lines = text.split(/\r?\n/).filter((line) => line !== "");
      const kept = lines.slice(-MAX_HISTORY_LINES);
      if (kept.length < lines.length) await Deno.writeTextFile(name, kept.map((line) => `${line}\n`).join(""));
      return new HistoryFile(kept, file, report);
    } catch (error) {
      file?.close();
      if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`${what} needs a permission`);
      if (error instanceof Failure) throw error;
      throw new Failure(`${what}: ${(error as Error).message}`);
    }
  }

  /** Adds a line, unless it is empty or begins with a space. */
  add(line: string): void {
    if (this.#failed || line.trim() === "" || line.startsWith(" ")) return;
    try {
      this.#file.writeSync(new TextEncoder().encode(`${line}\n`));
    } catch (error) {
      this.#failed = true;
      this.#report(`The history is no longer saved: ${(error as Error).message}`);
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
