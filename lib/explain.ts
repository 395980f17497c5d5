/**
 * Composes `explain`: reads messages from a file or the standard input, and prints what each octet means.
 *
 * @module
 */

import { writeAll } from "./bytes.ts";
import type { ExplainOptions } from "./cli.ts";
import { EXIT_FAILURE, Failure, MissingPermission } from "./cli/values.ts";
import { EXPLAIN_READ_BYTES, FALLBACK_COLUMNS } from "./limits.ts";
import { painterFor } from "./terminal.ts";
import { Explainer, messageKindOf } from "./traffic/explain.ts";
import { explanationText } from "./traffic/explain_text.ts";

/** Explains the messages in a file. The exit code is 0 if all of them are complete and valid. */
export async function explain(options: ExplainOptions): Promise<number> {
  using input = await open(options.file);
  const terminal = Deno.stdout.isTerminal();
  const colored = options.color === "auto" ? terminal && !Deno.noColor : options.color === "always";
  const layout = {
    width: terminal ? columnsOfTerminal() : FALLBACK_COLUMNS,
    ...terminal && { sentenceWidth: columnsOfTerminal() },
    all: options.all,
    painter: painterFor(colored),
  };
  const encoder = new TextEncoder();
  let legal = true;
  let messages = 0;
  const print = async (explainer: Explainer) => {
    let text = "";
    for (const explanation of explainer.take()) {
      const { kind, start, state } = explanation;
      legal &&= state === "whole" && kind !== "unread";
      const what = kind === "unread" ? "not explained" : `${kind} ${messages + 1}`;
      const title = messages++ === 0 ? "" : `\n${what}, from octet ${start} on\n`;
      text += title + explanationText(explanation, layout);
    }
    await writeAll(Deno.stdout, encoder.encode(text));
  };
  try {
    const explainer = await explainAll(input, options, print);
    if (explainer === undefined) throw new Failure(`${nameOf(options.file)} holds no octets, so there is no message`);
    await print(explainer);
  } catch (error) {
    // The reader has closed the pipe.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return legal ? 0 : EXIT_FAILURE;
}

function columnsOfTerminal(): number {
  try {
    return Deno.consoleSize().columns || FALLBACK_COLUMNS;
  } catch {
    // Not every terminal reports its size.
    return FALLBACK_COLUMNS;
  }
}

/** Reads a file in pieces, so that its size is not limited. */
async function explainAll(
  input: { read(bytes: Uint8Array): Promise<number | null> },
  { file, answers, all }: ExplainOptions,
  print: (explainer: Explainer) => Promise<void>,
): Promise<Explainer | undefined> {
  const bytes = new Uint8Array(EXPLAIN_READ_BYTES);
  const methods = [...answers];
  let explainer: Explainer | undefined;
  let length = 0;
  for (;;) {
    const count = await input.read(bytes.subarray(length)).catch((error: Error) => {
      throw new Failure(`Cannot read ${nameOf(file)}: ${error.message}`);
    });
    length += count ?? 0;
    // The first five octets determine the kind of messages.
    if (explainer === undefined && (count === null ? length > 0 : length >= 5)) {
      explainer = new Explainer({
        kind: messageKindOf(bytes.subarray(0, length)),
        answers: () => methods.shift(),
        all,
      });
    }
    if (explainer !== undefined) {
      explainer.receive(bytes.subarray(0, length));
      length = 0;
      if (count === null) explainer.end();
      else await print(explainer);
    }
    if (count === null) return explainer;
  }
}

function nameOf(file: string): string {
  return file === "-" ? "The input" : file;
}

async function open(file: string): Promise<{ read(bytes: Uint8Array): Promise<number | null> } & Disposable> {
  if (file === "-") return { read: (bytes) => Deno.stdin.read(bytes), [Symbol.dispose]() {} };
  try {
    return await Deno.open(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`Reading ${file} needs a permission`);
    throw new Failure(`Cannot read ${file}: ${(error as Error).message}`);
  }
}
