/**
 * wiretable: both ends of an HTTP/1.1 connection, with every byte in view.
 *
 * The command line becomes options (`lib/cli.ts`), and those a running command: `lib/serve.ts`, `lib/connect.ts`,
 * `lib/relay.ts`, `lib/explain.ts` or `lib/replay.ts`.
 *
 * @module
 */

import "./lib/cli/deno_version.ts";
import config from "./deno.json" with { type: "json" };
import { writeLine } from "./lib/bytes.ts";
import { type FileNeeds, parseCommandLine } from "./lib/cli.ts";
import { commandLine, surplusPermissions, USER_ARGS } from "./lib/cli/program.ts";
import { EXIT_FAILURE, ReportedError, systemCode } from "./lib/exit_code.ts";
import { escapeText, terminalColumns, wrapMessage } from "./lib/terminal.ts";

/** Errors whose message is enough; any other is a defect. */
const EXPLAINED = [ReportedError, ...Object.values(Deno.errors)];

if (import.meta.main) Deno.exit(await main(USER_ARGS));

/** Runs the program. Every error is reported here, as one line and an exit code. */
async function main(args: readonly string[]): Promise<number> {
  let files: FileNeeds = { read: [], write: [] };
  try {
    const invocation = parseCommandLine(args);
    if ("files" in invocation) {
      files = invocation.files;
      for (const name of surplusPermissions(files)) await Deno.permissions.revoke({ name });
    }
    switch (invocation.kind) {
      case "text":
        await writeLine(Deno.stdout, invocation.text.trimEnd());
        return 0;
      case "version":
        await writeLine(Deno.stdout, `wiretable ${config.version} (Deno ${Deno.version.deno})`);
        return 0;
      // Each command loads only what it needs itself.
      case "serve":
        return await (await import("./lib/serve.ts")).serve(invocation.options);
      case "connect":
        return await (await import("./lib/connect.ts")).connect(invocation.options, files);
      case "relay":
        return await (await import("./lib/relay.ts")).relay(invocation.options);
      case "explain":
        return await (await import("./lib/explain.ts")).explain(invocation.options);
      case "replay":
        return await (await import("./lib/replay.ts")).replay(invocation.options);
    }
  } catch (error) {
    // The reader of the output has enough, as head has.
    if (error instanceof Deno.errors.BrokenPipe) return EXIT_FAILURE;
    const line = `wiretable: ${escapeText(describe(error, () => commandLine(args, files)))}`;
    console.error(wrapMessage(line, Deno.stderr.isTerminal() ? terminalColumns() : undefined));
    return error instanceof ReportedError ? error.exitCode : EXIT_FAILURE;
  }
}

/** Formats an error as one line, with the command to type if a permission is missing; a defect with its stack. */
function describe(error: unknown, command: () => string): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Deno.errors.NotCapable) {
    // The runtime says what a script or an executable needs, and how to give it that.
    return `${error.message.replace(/, (?:run again|specify) [^]*/, "")}: ${command()}`;
  }
  const isExplained = systemCode(error) !== undefined || EXPLAINED.some((kind) => error instanceof kind);
  return isExplained ? error.message : error.stack ?? error.message;
}
