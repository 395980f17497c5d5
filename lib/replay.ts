/**
 * Composes `replay`: sends what the clients of a recording sent, and compares the answers with the recorded ones.
 *
 * @module
 */

import { counted, readPieces, readStart, type Source, writeLine } from "./bytes.ts";
import type { ReplayOptions } from "./cli.ts";
import { addressText, type Endpoint, isLoopback } from "./address.ts";
import { readCertificates } from "./cli/files.ts";
import { cannotRead, type InputFile, inputName, openFile, otherFormat, requireConnection } from "./cli/input.ts";
import { Failure } from "./cli/values.ts";
import { EXIT_FAILURE, EXIT_TIMEOUT } from "./exit_code.ts";
import { ClientConnection } from "./client/connection.ts";
import { EXPLAIN_READ_BYTES, MAX_REPLAYED_CONNECTIONS } from "./limits.ts";
import { isColored, painterFor } from "./terminal.ts";
import { captureEvents, CaptureReader } from "./traffic/capture/reader.ts";
import { CaptureError, captureFormatOf, otherFormatOf } from "./traffic/capture/packet_file.ts";
import { numbersText } from "./traffic/capture/words.ts";
import { FOREIGN_OCTETS, foreignForm } from "./traffic/explain/foreign.ts";
import { Replayer, Survey } from "./traffic/replay/replayer.ts";

/** Replays a recording. The exit code is 0 if all answers are the recorded ones. */
export async function replay(options: ReplayOptions): Promise<number> {
  const { file, to, fast, timeoutMs, caFile, json } = options;
  const caCerts = caFile === undefined ? [] : [await readCertificates("--cacert", caFile)];
  const printJson = json ? (line: string) => writeLine(Deno.stdout, line) : undefined;
  const print = (line: string) => writeLine(json ? Deno.stderr : Deno.stdout, line);
  using input = await openFile(file);
  if (input.rewind === undefined) throw new Failure(`${inputName(file)} is read twice: expected a file, saw a pipe`);
  try {
    await requireCapture(input, file);
    await input.rewind();
    const { servers, incomplete, notes, isWhole } = await survey(input, options);
    await input.rewind();
    const painter = painterFor(isColored(options.color));
    const open = async (server: Endpoint) => (await ClientConnection.open(server, { timeoutMs, caCerts })).lend();
    const replayer = new Replayer({ to, fast, timeoutMs, incomplete, open, painter, print, printJson });
    try {
      for (const note of notes) await print(note);
      for await (const event of captureEvents(input, { connection: options.connection })) {
        if (servers.has(event.connection)) await replayer.receive(event);
      }
      await replayer.finish();
    } finally {
      replayer.close();
    }
    return replayer.timedOut ? EXIT_TIMEOUT : replayer.same && isWhole ? 0 : EXIT_FAILURE;
  } catch (error) {
    throw error instanceof CaptureError ? cannotRead(file, error) : error;
  }
}

/** Finds what can be replayed, before anything is sent, and whether that is all: no octets come after a reset. */
async function survey(input: InputFile, { file, to, connection }: ReplayOptions) {
  const found = new Survey();
  const reader = new CaptureReader((event) => found.receive(event), { connection });
  for await (const bytes of readPieces(input, EXPLAIN_READ_BYTES)) {
    reader.receive(bytes);
    if (found.servers.size <= MAX_REPLAYED_CONNECTIONS) continue;
    throw new Failure(`${file} has more than ${MAX_REPLAYED_CONNECTIONS} connections: --connection N picks one`);
  }
  const read = reader.end();
  found.finish();
  const { servers, incomplete, others } = found;
  requireConnection(file, connection, reader.connections);
  const late = reader.notesAfterResets(servers);
  const notes = [...read, ...input.damage === undefined ? [] : [input.damage], ...late];
  if (others.length > 0) {
    notes.push(`not replayed, as not HTTP: ${counted(others.length, "connection")} (${numbersText(others)})`);
  }
  if (servers.size === 0) {
    const what = connection === undefined ? file : `Connection ${connection} of ${file}`;
    throw new Failure(`${what} holds no HTTP, so there is nothing to replay`);
  }
  for (const { host: hostname, port, secure } of to === undefined ? servers.values() : []) {
    if (isLoopback(hostname)) continue;
    const server = `${secure ? "https://" : ""}${addressText({ hostname, port })}`;
    throw new Failure(`The recorded server ${server} is not on this machine: --to ${server} sends to it all the same`);
  }
  return { servers, incomplete, notes, isWhole: late.length === 0 };
}

/** @throws {Failure} If the input does not start as a capture. */
async function requireCapture(input: Source, file: string): Promise<void> {
  const start = await readStart(input, FOREIGN_OCTETS);
  const other = otherFormatOf(start);
  if (other !== undefined) throw otherFormat(file, other);
  if (captureFormatOf(start) !== undefined) return;
  throw new Failure(`${file} ${foreignForm(start) ?? "is not a capture, expected pcapng or pcap"}`);
}
