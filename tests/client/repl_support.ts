import type { Endpoint } from "../../lib/address.ts";
import { Session } from "../../lib/client.ts";
import { parseArguments } from "../../lib/client/command.ts";
import type { RawView } from "../../lib/client/raw.ts";
import { WrongInput } from "../../lib/client/words.ts";
import { type Line, pipedInput } from "../../lib/client/line_input.ts";
import { Repl, type ReplOptions } from "../../lib/client/repl.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { Table } from "../../lib/table.ts";
import { painterFor } from "../../lib/terminal.ts";
import { startServer, type TestServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { PLAIN } from "./command_support.ts";

const SCHEMA = RowSchema.parse("type,age,leg");

export function tableServer(): TestServer {
  const table = new Table(new MemoryStore(0), { schema: SCHEMA });
  return startServer((request, content) => table.answer(request, content), { now: () => 784111777_000 });
}

/** A view of raw exchanges that expects nothing. */
export const NO_VIEW: RawView = {
  begin: () => {},
  sent: () => {},
  expects: "nothing",
  end: () => ({ status: undefined, valid: true }),
};

export interface Outcome {
  /** The output, one character per octet. */
  shown: string;
  /** The lines printed beside the output. */
  told: string;
  code: number;
}

/** Runs lines of input, or one command, against a server. */
export async function run(
  port: number,
  input: string | Uint8Array<ArrayBuffer>,
  options: Partial<ReplOptions> & { words?: string[] } = {},
): Promise<Outcome> {
  const outcome = { shown: "", told: "", code: 0 };
  const own = optionsFor(port);
  const repl: ReplOptions = {
    ...own,
    readContent: (name) => Promise.resolve(new TextEncoder().encode(name)),
    screen: {
      terminal: options.interactive === true,
      columns: () => 80,
      write(bytes) {
        outcome.shown += octetString(bytes);
        return Promise.resolve();
      },
      flush: () => Promise.resolve(),
      note(line) {
        if (options.interactive) outcome.shown += `${line}\n`;
        else outcome.told += `${line}\n`;
        return Promise.resolve();
      },
    },
    interactive: false,
    ...options,
  };
  const lines = pipedInput(new Blob([input]).stream());
  const { words } = options;
  outcome.code = words === undefined
    ? await new Repl(lines, repl).runAll()
    : await new Repl(lines, repl).run(() => parseArguments(words, repl.table)) ?? 0;
  lines.close();
  own.session.close();
  return outcome;
}

/** Runs a prompt with these lines; Ctrl-C may take the place of a line. */
export async function runLines(port: number, lines: Line[], options: Partial<ReplOptions> = {}): Promise<Outcome> {
  const outcome = { shown: "", told: "", code: 0 };
  const input = {
    next: () => Promise.resolve(lines.shift() ?? { kind: "end" as const }),
    close: () => {},
  };
  const own = optionsFor(port);
  outcome.code = await new Repl(input, {
    ...own,
    readContent: () => Promise.reject(new WrongInput("no files here")),
    screen: {
      terminal: true,
      columns: () => 80,
      write: (bytes) => Promise.resolve(void (outcome.shown += octetString(bytes))),
      flush: () => Promise.resolve(),
      note: (line) => Promise.resolve(void (outcome.told += `${line}\n`)),
    },
    interactive: true,
    ...options,
  }).runAll();
  own.session.close();
  return outcome;
}

/** Returns the options of both, but for those that say what is read and shown. */
function optionsFor(port: number): Omit<ReplOptions, "readContent" | "screen" | "interactive"> {
  const endpoint = { secure: false, host: "127.0.0.1", port };
  const sessionWith = (other: Endpoint) => new Session(other, { timeoutMs: 10_000 });
  return {
    ...{ endpoint, session: sessionWith(endpoint), sessionWith },
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    painter: painterFor(false),
    raw: NO_VIEW,
    table: PLAIN,
    defaults: [["Host", "h"]],
  };
}

export const typed = (text: string): Line => ({ kind: "line", text });
