/**
 * Composes `explain`: reads messages or a capture from a file or the standard input, and prints what each octet means.
 *
 * @module
 */

import { ByteBuffer, NO_BYTES, readPieces, readStart, writeAll, writeLine } from "./bytes.ts";
import { type ExplainOptions, UsageError } from "./cli.ts";
import { cannotRead, type InputFile, inputName, openFile, otherFormat, requireConnection } from "./cli/input.ts";
import { END_SIGNALS, Failure } from "./cli/values.ts";
import { EXIT_FAILURE } from "./exit_code.ts";
import { EXPLAIN_READ_BYTES, FALLBACK_COLUMNS } from "./limits.ts";
import { isColored, painterFor, terminalColumns } from "./terminal.ts";
import { CaptureExplainer, type Explained } from "./traffic/capture/explainer.ts";
import { ALL_KEPT, FileExplainer, type Placed } from "./exchange.ts";
import { FOREIGN_OCTETS, foreignForm } from "./traffic/explain/foreign.ts";
import { CaptureList } from "./traffic/capture/list.ts";
import { CaptureReader } from "./traffic/capture/reader.ts";
import { summaryText } from "./traffic/capture/words.ts";
import { within } from "./turns.ts";
import { messagesJson } from "./traffic/explain/json.ts";
import { afterBareLine, bareFirstLine, messagesList, messagesText } from "./traffic/explain/messages.ts";
import type { ExplainTextOptions } from "./traffic/explain/text.ts";
import { CaptureError, captureFormatOf, otherFormatOf } from "./traffic/capture/packet_file.ts";

/** How long a pipe may bring nothing before what is explained is shown. */
const IDLE_MS = 200;
const OUTPUT_BYTES = 1024 * 1024;
const ENCODER = new TextEncoder();

/** Explains what is in a file. The exit code is 0 if all messages are complete and valid. */
export async function explain(options: ExplainOptions): Promise<number> {
  using input = await openFile(options.file);
  const sentenceWidth = Deno.stdout.isTerminal() ? terminalColumns() : undefined;
  const painter = painterFor(isColored(options.color));
  const layout = { width: sentenceWidth ?? FALLBACK_COLUMNS, sentenceWidth, all: options.all, painter };
  const start = await readStart(input, EXPLAIN_READ_BYTES, FOREIGN_OCTETS);
  const other = otherFormatOf(start);
  if (other !== undefined) throw otherFormat(options.file, other);
  const foreign = foreignForm(start);
  if (foreign !== undefined) throw new Failure(`${inputName(options.file)} ${foreign}`);
  const isCapture = captureFormatOf(start) !== undefined;
  if (!isCapture && options.page !== undefined) {
    throw new Failure(`--page shows a capture (pcapng or pcap), and ${inputName(options.file)} is not one`);
  }
  if (!isCapture && options.connection !== undefined) {
    throw new UsageError(`--connection needs a capture (pcapng or pcap): ${inputName(options.file)} has messages`);
  }
  if (options.page !== undefined) return await showOnPage(input, start, options, options.page);
  try {
    return isCapture
      ? await explainCapture(input, start, options, layout)
      : await explainMessages(input, start, options, layout);
  } catch (error) {
    // The reader of the output has enough.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    throw error;
  }
}

async function explainMessages(
  input: InputFile,
  start: Uint8Array,
  { file, answers, all, crlf, json, list }: ExplainOptions,
  layout: ExplainTextOptions,
): Promise<number> {
  if (start.length === 0) {
    const why = input.damage === undefined ? " holds no octets, so there is no message" : `: ${input.damage}`;
    throw new Failure(`${inputName(file)}${why}`);
  }
  const methods = [...answers];
  const bareLine = crlf ? undefined : bareFirstLine(start);
  const explainer = new FileExplainer({
    answers: () => methods.shift(),
    crlf: crlf || bareLine !== undefined,
    ...all && { kept: ALL_KEPT },
  });
  const view = json ? messagesJson(all) : list ? messagesList() : messagesText(layout);
  let valid = true;
  const print = async (placed: readonly Placed[]) => {
    valid &&= placed.every(({ explanation }) => explanation.state === "whole");
    await writeAll(Deno.stdout, ENCODER.encode(placed.map((one) => view(one)).join("")));
  };
  explainer.receive(start);
  let rest = "";
  // A line is part of a message, which may be long.
  for (let placed: readonly Placed[] = []; bareLine !== undefined && placed.length === 0;) {
    const more = await readStart(input, EXPLAIN_READ_BYTES);
    explainer.receive(more);
    const isWhole = more.length < EXPLAIN_READ_BYTES;
    if (isWhole) explainer.end();
    placed = explainer.take();
    if (placed.length > 0) await print(afterBareLine(bareLine, placed, isWhole, !json && !list));
  }
  await print(explainer.take());
  for await (const bytes of readPieces(input, EXPLAIN_READ_BYTES)) {
    // The input may have no end.
    if (explainer.needsNoMore) {
      rest = "\nThe rest of the input is not read\n";
      break;
    }
    explainer.receive(bytes);
    await print(explainer.take());
  }
  explainer.end();
  await print(explainer.take());
  await writeAll(Deno.stdout, ENCODER.encode(view()));
  if (input.damage !== undefined) rest = `\n${input.damage}\n`;
  // Notes are no lines of JSON.
  await writeAll(json ? Deno.stderr : Deno.stdout, ENCODER.encode(rest));
  return valid ? 0 : EXIT_FAILURE;
}

/** Explains a capture, then prints what was not read of it. If too much of it has to wait at a time, it is read again. */
async function explainCapture(
  input: InputFile,
  start: Uint8Array,
  { file, answers, connection, json, list }: ExplainOptions,
  layout: ExplainTextOptions,
): Promise<number> {
  if (answers.length > 0) throw new UsageError("--answers is for responses alone: a capture has their requests");
  const output = new ByteBuffer(OUTPUT_BYTES);
  const again = input.rewind !== undefined;
  let hasPrinted = false;
  let isSummed = json;
  const write = () => {
    hasPrinted ||= output.length > 0;
    for (let sent = 0; sent < output.length;) sent += Deno.stdout.writeSync(output.view(sent));
    output.clear(OUTPUT_BYTES);
  };
  const print = (text: string) => {
    output.appendText(text);
    // Many connections may end, and be explained, at once.
    if (isSummed && output.length >= OUTPUT_BYTES) write();
  };
  const flush = async (reader: CaptureReader, how?: "end" | "idle") => {
    if (!isSummed) {
      // Little text waits for the end of the file: the first line has its counts.
      if (how === undefined && output.length < OUTPUT_BYTES) return;
      isSummed = true;
      const counts = how === undefined && again ? await countsOf(file) : reader;
      const summary = summaryText(counts, counts === reader && how !== "end");
      if (output.length > 0) await writeLine(Deno.stdout, `${summary}\n`);
    }
    write();
  };
  const notes = new Set<string>();
  let valid = true;
  let failure: CaptureError | undefined;
  let connections = 0;
  let printed: Explained["printed"];
  for (let from: number | undefined = 1; from !== undefined;) {
    const explainer: CaptureExplainer | CaptureList = list
      ? new CaptureList({ print, connection })
      : new CaptureExplainer({ ...layout, isJson: json, print, connection, from, again, printed });
    const { reader } = explainer;
    try {
      explainer.receive(from === 1 ? start : NO_BYTES);
      await flush(reader);
      const pieces = readPieces(input, EXPLAIN_READ_BYTES);
      for (let next = pieces.next();; next = pieces.next()) {
        // What a pipe has brought is shown while it brings nothing more.
        const isIdle = !isSummed && !again && !await within(next, IDLE_MS);
        if (isIdle && reader.connections > 0) await flush(reader, "idle");
        const { done, value } = await next;
        if (done) break;
        explainer.receive(value);
        await flush(reader);
      }
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      failure = error;
    }
    const explained: Explained = explainer.end();
    await flush(reader, "end");
    valid &&= explained.valid;
    connections = reader.connections;
    for (const note of explained.notes) notes.add(note);
    ({ leftOut: from, printed } = explained);
    if (from !== undefined) await input.rewind!();
  }
  if (input.damage !== undefined) notes.add(input.damage);
  // Notes are no lines of JSON.
  const space = hasPrinted && !json && notes.size > 0 ? "\n" : "";
  const lines = [...notes].map((note) => `${note}\n`).join("");
  await writeAll(json ? Deno.stderr : Deno.stdout, ENCODER.encode(`${space}${lines}`));
  if (failure !== undefined) throw cannotRead(file, failure);
  checkConnections(file, connection, connections);
  return valid ? 0 : EXIT_FAILURE;
}

async function countsOf(file: string): Promise<CaptureReader> {
  using input = await openFile(file);
  const reader = new CaptureReader(() => {}, { wanted: () => false });
  try {
    for await (const bytes of readPieces(input, EXPLAIN_READ_BYTES)) reader.receive(bytes);
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
  }
  return reader;
}

async function showOnPage(
  input: InputFile,
  start: Uint8Array,
  { file, connection, showCredentials }: ExplainOptions,
  { port, history }: NonNullable<ExplainOptions["page"]>,
): Promise<number> {
  const { openRecordedPage } = await import("./page.ts");
  async function* pieces() {
    yield start;
    yield* readPieces(input, EXPLAIN_READ_BYTES);
  }
  const name = file === "-" ? "the input" : file.replace(/^.*[/\\]/, "");
  const page = await openRecordedPage(pieces(), {
    ...{ port, history, connection, showCredentials, name },
    check: (connections) => checkConnections(file, connection, connections),
    failed: (error) => console.error(error),
  }).catch((error) => {
    throw error instanceof CaptureError ? cannotRead(file, error) : error;
  });
  await writeLine(Deno.stdout, `The traffic of ${name} is shown at ${page.url} (Ctrl-C stops)`);
  await new Promise<void>((resolve) => {
    for (const signal of END_SIGNALS) Deno.addSignalListener(signal, resolve);
  });
  await page.close();
  return 0;
}

/** @throws {Failure} If there is no connection, or not the one that is asked for. */
function checkConnections(file: string, connection: number | undefined, connections: number): void {
  if (connections === 0) throw new Failure(`${inputName(file)} has no TCP connection`);
  requireConnection(file, connection, connections);
}
