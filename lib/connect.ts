/**
 * Composes `connect`: a session with a server, for a prompt, piped commands or a single command.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import type { ConnectOptions, FileNeeds } from "./cli.ts";
import { makeFile, openHistory, readCertificates, readFile, readTokens } from "./cli/files.ts";
import { certificateAdvice, commandLine, exampleLine, insecureAdvice, USER_ARGS } from "./cli/program.ts";
import { END_SIGNALS, Failure, flagValue } from "./cli/values.ts";
import { exitCodeAfter } from "./exit_code.ts";
import { type ClientOptions, Session } from "./client.ts";
import { type Command, parseArguments } from "./client/command.ts";
import { basicAuthorization } from "./client/curl.ts";
import { defaultFields, type TableWords } from "./client/items.ts";
import { pipedInput } from "./client/line_input.ts";
import { Output, ProcessScreen } from "./client/output.ts";
import { Repl } from "./client/repl.ts";
import type { TerminalStreams } from "./client/terminal_input.ts";
import { WrongInput } from "./client/words.ts";
import type { FieldLine } from "./http_message.ts";
import { LARGEST_BODY_BYTES, MAX_RAW_OCTETS } from "./limits.ts";
import { FILTER_OPERATORS, RowSchema } from "./table/row_schema.ts";
import { isColored, painterFor } from "./terminal.ts";
import { within } from "./turns.ts";
import type { Recorder } from "./traffic/capture/recorder.ts";

/** How long the last output may take after a signal. */
const LAST_OUTPUT_MS = 250;

/** Runs `connect`: a single command, or commands until the input ends. What only some runs need is loaded by them. */
export async function connect(options: ConnectOptions, files: FileNeeds): Promise<number> {
  const { endpoint } = options;
  const table: TableWords = {
    fields: flagValue("--fields", () => RowSchema.parse(options.fields)).fields,
    areGuessed: !options.fieldsGiven,
    filterOperators: FILTER_OPERATORS,
    server: {
      endpoint,
      commandLine: (args) => exampleLine(args),
      insecureAdvice: insecureAdvice(),
    },
  };
  const caCerts = options.caFile === undefined ? [] : [await readCertificates("--cacert", options.caFile)];
  const defaults = await fieldsOfAll(options);
  const alone = await commandAlone(options, table);
  const isRaw = options.rawFile !== undefined || options.command[0]?.toLowerCase() === "raw";

  const isTyped = alone === undefined && Deno.stdin.isTerminal();
  const streams = isTyped ? await (await import("./client/terminal_input.ts")).processTerminal() : undefined;
  const interactive = streams !== undefined;
  const screen = new ProcessScreen(interactive);
  const { terminal } = screen;
  if (isTyped && !interactive) await screen.note(NO_RAW_MODE);
  const { color, pretty, explain, verbose } = options;
  const painter = painterFor(color === "auto" && pretty !== "auto" ? pretty === "all" : isColored(color));
  const recorder = options.recordFile === undefined ? undefined : await record(options.recordFile);
  const life = terminal ? screen : new Output(Deno.stderr);
  const isViewed = alone === undefined || isRaw || explain || verbose || recorder !== undefined;
  const views = !isViewed ? undefined : (await import("./traffic/explain/client_views.ts")).clientViews({
    ...options,
    ...{ painter, terminal, kind: alone && (isRaw ? "raw" : "request"), record: recorder?.receive },
    write: (text) => screen.print(text),
    writeLife: (text) => life.print(text),
  });

  const clientOptions: ClientOptions = {
    timeoutMs: options.timeoutMs,
    caCerts,
    tap: views?.tap,
    room: () => recorder?.room(),
    ...interactive &&
      { connected: (local: Deno.NetAddr, remote: Deno.NetAddr) => screen.notifyConnected(local, remote) },
    certificateAdvice: (host) => certificateAdvice(USER_ARGS, files, host),
  };
  const session = new Session(endpoint, {
    ...clientOptions,
    // A script learns of it when it matters: before its next request.
    ...interactive && { closed: (how) => screen.notify(`${how}; the next request opens a new connection`) },
  });
  /** The sessions that Ctrl-C may have to cancel: this one, and one that follows a Location elsewhere. */
  const sessions = [session];
  const interrupted = () => sessions.map((each) => each.cancel()).includes(true);
  const prompt = streams && await openPrompt(streams, options.historyFile, screen, interrupted);
  using history = prompt?.history;
  screen.input = prompt?.input;
  const input = screen.input ?? pipedInput(Deno.stdin.readable);
  const { print, showCredentials, caFile } = options;
  const repl = new Repl(input, {
    ...{ endpoint, session, screen, interactive, painter, table, defaults },
    ...{ print, pretty, showCredentials, caFile },
    sessionWith: (other) => sessions[1] = new Session(other, clientOptions),
    readContent: (name) => readContent(name, { isAlone: alone !== undefined, interactive, files }),
    asks: Deno.stdin.isTerminal(),
    seenNames: prompt?.seenNames,
    readFields: options.fieldsGiven ? undefined : (notation) => RowSchema.parse(notation).fields,
    ...{ explain: views?.explain, raw: views?.raw, accepted: views?.accepted },
    keep: (line) => history?.add(line),
  });
  const close = async () => {
    session.close();
    input.close();
    await recorder?.close();
  };
  const over = Promise.withResolvers<void>();
  let signalled: number | undefined;
  // In raw mode Ctrl-C is a key, and no signal.
  for (const signal of END_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      const code = signalled ??= exitCodeAfter(signal);
      // What came of a request is still shown, unless nobody reads that. The wait for a line would not end.
      const ended = interrupted() ? over.promise : Promise.allSettled([screen, life].map((output) => output.flush()));
      void close().then(() => within(ended, LAST_OUTPUT_MS)).finally(() => Deno.exit(code));
    });
  }
  try {
    if (alone === undefined) await session.connect();
    if (interactive) await screen.note("(help lists commands, q quits)");
    const code = alone === undefined ? await repl.runAll() : await repl.run(alone) ?? 0;
    await screen.flush();
    return signalled ?? code;
  } catch (error) {
    if (signalled === undefined) throw error;
    return signalled;
  } finally {
    // Writes what was shown before an error.
    await screen.flush().catch(() => {});
    await close();
    await life.flush().catch(() => {});
    over.resolve();
  }
}

async function openPrompt(
  streams: TerminalStreams,
  historyFile: string | undefined,
  screen: ProcessScreen,
  interrupted: () => void,
) {
  const { TerminalInput } = await import("./client/terminal_input.ts");
  const { SeenNames } = await import("./client/help.ts");
  const seenNames = new SeenNames();
  const note = (line: string) => screen.notify(line);
  const history = historyFile === undefined ? undefined : await openHistory(historyFile, note);
  const complete = (line: string) => seenNames.complete(line);
  const input = new TerminalInput(streams, { complete, interrupted, history: history?.lines });
  return { input, seenNames, history };
}

async function fieldsOfAll({ endpoint, tokenFile, userPass }: ConnectOptions): Promise<FieldLine[]> {
  const fields = defaultFields(endpoint, config.version);
  if (tokenFile !== undefined) fields.push(["Authorization", `Bearer ${(await readTokens(tokenFile))[0]}`]);
  if (userPass !== undefined) fields.push(basicAuthorization(userPass));
  return fields;
}

async function commandAlone(
  { command, rawFile, crlf }: ConnectOptions,
  table: TableWords,
): Promise<(() => Command) | undefined> {
  if (rawFile === undefined) return command.length === 0 ? undefined : () => parseArguments(command, table);
  const octets = await readFile(`--raw ${rawFile}`, rawFile, MAX_RAW_OCTETS);
  if (octets.length === 0) throw new Failure(`${rawFile === "-" ? "The input" : rawFile} holds no octets to send`);
  const bytes = crlf ? (await import("./exchange.ts")).withLineEnds(octets) : octets;
  return () => ({ kind: "raw", steps: [{ kind: "send", bytes }] });
}

async function record(name: string): Promise<Recorder> {
  const { Recorder, RECORDING_NOTICE } = await import("./traffic/capture/recorder.ts");
  const note = (line: string) => console.error(`wiretable: ${line}`);
  const file = await makeFile("--record", name);
  note(`The traffic is recorded in ${name}: ${RECORDING_NOTICE}`);
  return new Recorder(file, { program: `wiretable ${config.version}`, name, note });
}

const NO_RAW_MODE =
  "This terminal gives no single keys, so there is no prompt: type commands, or use Windows Terminal or winpty";

async function readContent(
  name: string,
  { isAlone, interactive, files }: { isAlone: boolean; interactive: boolean; files: FileNeeds },
): Promise<Uint8Array> {
  if (name === "-" && !isAlone) {
    throw new WrongInput("- is the standard input, which the commands are read from: name a file as @FILE");
  }
  const missing = () => {
    const read = files.read === true ? true : [...new Set([...files.read, name])];
    // The prompt goes on, so the command line with the needed permission is shown here.
    return new WrongInput(`@${name} needs a permission`, commandLine(USER_ARGS, { ...files, read }));
  };
  // The runtime's own question would read the keys that the prompt reads.
  if (interactive && Deno.permissions.querySync({ name: "read", path: name }).state !== "granted") throw missing();
  try {
    return await readFile(`@${name}`, name, LARGEST_BODY_BYTES);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw missing();
    throw error instanceof Failure ? new WrongInput(error.message) : error;
  }
}
