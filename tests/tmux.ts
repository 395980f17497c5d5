/** A terminal of some width, in which a test types and reads what a person would see. */

import { isInstalled, TempFolder } from "./support.ts";

/** Whether tmux is installed. With CI=true, that it is not is a failure. */
export const TMUX: boolean = isInstalled("tmux", "to test the prompt with", "-V");

/** Defines a test that needs tmux: its name says why it is skipped, if it is. */
export function tmuxTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: TMUX ? name : `skipped, for tmux is not installed: ${name}`, ignore: !TMUX, fn });
}

/** Looks at a terminal, each of some milliseconds, after which nothing more is expected. */
const MAX_LOOKS = 3000;

/** A terminal with a command running in it. */
export class Terminal implements AsyncDisposable {
  readonly #folder = new TempFolder();

  /** Runs a command of a shell in a terminal; its exit code is shown as `[exit 0]`. */
  static async start(command: string, columns: number): Promise<Terminal> {
    const terminal = new Terminal();
    // Ctrl-C ends the command, not the shell that shows its exit code.
    const line = `trap : INT; ${command}; echo "[exit $?]"; cat`;
    await terminal.#tmux("-f", "/dev/null", "new-session", "-d", "-x", String(columns), "-y", "200", line);
    return terminal;
  }

  /** Types text, and keys by their names in tmux: `Enter`, `Tab`, `C-c`. */
  async type(text: string, ...keys: string[]): Promise<void> {
    if (text !== "") await this.#tmux("send-keys", "-l", text);
    if (keys.length > 0) await this.#tmux("send-keys", ...keys);
  }

  /** Pastes lines, all at once; marked as a paste, if the program in the terminal asks for that. */
  async paste(text: string, marked?: "marked"): Promise<void> {
    await this.#tmux("set-buffer", text);
    await this.#tmux("paste-buffer", ...marked === undefined ? [] : ["-p"]);
  }

  /** Resolves with what is shown once that matches. */
  async shown(pattern: RegExp): Promise<string> {
    for (let looks = 1;; looks++) {
      const text = (await this.#tmux("capture-pane", "-p", "-S", "-")).trimEnd();
      if (pattern.test(text)) return text;
      if (/\[exit \d+\]$/.test(text) || looks > MAX_LOOKS) throw new Error(`${pattern} is not shown:\n${text}`);
    }
  }

  async #tmux(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-S", this.#folder.file("socket"), ...args],
    })
      .output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server");
    this.#folder[Symbol.dispose]();
  }
}
