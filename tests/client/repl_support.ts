import { Session } from "../../lib/client.ts";
import { parseArguments } from "../../lib/client/command.ts";
import type { RawView } from "../../lib/client/raw.ts";
import { WrongInput } from "../../lib/client/words.ts";
import { type Line, pipedInput } from "../../lib/client/line_input.ts";
import { type ReplOptions, runCommand, runCommands } from "../../lib/client/repl.ts";
import { FILTER_OPERATORS } from "../../lib/table/row_schema.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { Table } from "../../lib/table.ts";
import { painterFor } from "../../lib/terminal.ts";
import { startServer, type TestServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";

export const SCHEMA = RowSchema.parse("type,age,leg");

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
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const outcome = { shown: "", told: "", code: 0 };
  const endpoint = { secure: false, host: "127.0.0.1", port };
  const repl: ReplOptions = {
    endpoint,
    session,
    sessionWith: (other) => new Session(other, { timeoutMs: 10_000 }),
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
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    interactive: false,
    painter: painterFor(false),
    raw: NO_VIEW,
    table: { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    defaults: [["Host", "h"]],
    ...options,
  };
  const lines = pipedInput(new Blob([input]).stream());
  const { words } = options;
  outcome.code = words === undefined
    ? await runCommands(lines, repl)
    : await runCommand(() => parseArguments(words, repl.table), lines, repl);
  lines.close();
  session.close();
  return outcome;
}

/** Runs a prompt with these lines; Ctrl-C may take the place of a line. */
export async function runLines(port: number, lines: Line[], options: Partial<ReplOptions> = {}): Promise<Outcome> {
  const outcome = { shown: "", told: "", code: 0 };
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const input = {
    next: () => Promise.resolve(lines.shift() ?? { kind: "end" as const }),
    notify: () => {},
    close: () => {},
  };
  const endpoint = { secure: false, host: "127.0.0.1", port };
  outcome.code = await runCommands(input, {
    endpoint,
    session,
    sessionWith: (other) => new Session(other, { timeoutMs: 10_000 }),
    readContent: () => Promise.reject(new WrongInput("no files here")),
    screen: {
      terminal: true,
      columns: () => 80,
      write: (bytes) => Promise.resolve(void (outcome.shown += octetString(bytes))),
      flush: () => Promise.resolve(),
      note: (line) => Promise.resolve(void (outcome.told += `${line}\n`)),
    },
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    interactive: true,
    painter: painterFor(false),
    raw: NO_VIEW,
    table: { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    defaults: [["Host", "h"]],
    ...options,
  });
  session.close();
  return outcome;
}

export const typed = (text: string): Line => ({ kind: "line", text });
