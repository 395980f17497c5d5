/**
 * What Wireshark's tshark makes of a capture.
 */

import { octetString } from "./wire_cases.ts";

/** Whether tshark is installed. With CI=true, that it is not is a failure. */
export const TSHARK: boolean = await (async () => {
  try {
    // It is ended at once: to print its version, it first makes all its dissectors ready.
    const child = new Deno.Command("tshark", { args: ["--version"], stdout: "null", stderr: "null" }).spawn();
    child.kill("SIGKILL");
    await child.status;
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (Deno.env.get("CI") === "true") throw new Error("There is no tshark to test recordings with");
  return false;
})();

/** The name of a test that needs it: it says why it is skipped, if it is. */
export function withTshark(name: string): string {
  return TSHARK ? name : `skipped, for tshark is not installed: ${name}`;
}

/** Dissects a file, with every checksum checked and HTTP on these ports. */
export async function tshark(file: string, ports: readonly number[], ...args: string[]): Promise<string> {
  const checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE"].flatMap((preference) => ["-o", preference]);
  const http = ports.flatMap((port) => ["-d", `tcp.port==${port},http`]);
  const { success, stdout, stderr } = await new Deno.Command("tshark", {
    args: ["-r", file, ...checks, ...http, ...args],
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(text.decode(stderr));
  return text.decode(stdout);
}

/** What tshark makes of the TCP streams of a file. */
export interface Dissection {
  /** The methods, then the statuses of the messages of each stream. */
  readonly messages: Map<number, string>;
  /** The stream of each client's port. */
  readonly streams: Map<number, number>;
  /** The comments of each stream's packets. */
  readonly comments: Map<number, string[]>;
  /** What each end sent in the streams that were followed, one character per octet. */
  readonly followed: Map<number, { client: string; server: string }>;
  /** The warnings and errors of all packets. */
  readonly faults: string[];
}

const FIELDS = ["tcp.stream", "tcp.srcport", "tcp.flags", "http.request.method", "http.response.code", "frame.comment"];
const SYN = 0x0002;

/** Dissects a file in one run, and follows its first streams. */
export async function dissect(
  file: string,
  ports: readonly number[],
  followed: number,
  filter = "",
): Promise<Dissection> {
  const follow = Array.from({ length: followed }, (_, stream) => ["-z", `follow,tcp,raw,${stream}`]).flat();
  const fields = ["-T", "fields", ...FIELDS.flatMap((field) => ["-e", field])];
  const expert = ["-z", ["expert", "warn", filter].filter(Boolean).join()];
  const output = await tshark(file, ports, ...fields, ...expert, ...follow);
  const messages = new Map<number, { methods: string[]; statuses: string[] }>();
  const streams = new Map<number, number>();
  const comments = new Map<number, string[]>();
  for (const [, number, port, flags, methods, statuses, comment] of output.matchAll(PACKET_LINE)) {
    const stream = Number(number);
    if (Number(flags) === SYN) streams.set(Number(port), stream);
    comments.set(stream, [...comments.get(stream) ?? [], comment]);
    // What a packet has more than one of is separated by commas.
    const found = messages.get(stream) ?? { methods: [], statuses: [] };
    messages.set(stream, found);
    found.methods.push(...methods.split(",").filter(Boolean));
    found.statuses.push(...statuses.split(",").filter(Boolean));
  }
  return {
    messages: new Map([...messages].map(([i, { methods, statuses }]) => [i, [...methods, ...statuses].join(" ")])),
    streams,
    comments,
    followed: new Map(output.split("Follow: tcp,raw").slice(1).map(followedStream)),
    // A line of its table: how often, the group, the protocol, what is wrong.
    faults: output.match(/^ +\d+ .*$/gm) ?? [],
  };
}

const PACKET_LINE = /^(\d+)\t(\d+)\t(0x\w+)\t([^\t\n]*)\t([^\t\n]*)\t(.*)$/gm;

function followedStream(text: string): [stream: number, sides: { client: string; server: string }] {
  const sides = { client: "", server: "" };
  for (const [, tab, hex] of text.matchAll(/^(\t?)([0-9a-f]+)$/gm)) {
    sides[tab === "" ? "client" : "server"] += octetString(Uint8Array.fromHex(hex));
  }
  return [Number(/tcp\.stream eq (\d+)/.exec(text)![1]), sides];
}

/** Whether dumpcap, which comes with tshark, may capture the loopback traffic of this machine. */
export function mayCapture(): boolean {
  if (!TSHARK || Deno.build.os !== "linux") return false;
  // To tell the types of its packets, it starts to capture: its list of interfaces is the same for those who may not.
  return new Deno.Command("dumpcap", { args: ["-i", "lo", "-L"], stdout: "null", stderr: "null" }).outputSync().success;
}

/** Captures the loopback traffic of a port while something happens, until a packet has a text. */
export async function captured(port: number, until: string, happen: () => Promise<void>): Promise<Uint8Array> {
  const args = ["-i", "lo", "-f", `tcp port ${port}`, "-q", "-w", "-"];
  await using dumpcap = new Deno.Command("dumpcap", { args, stdout: "piped", stderr: "null" }).spawn();
  let bytes = new Uint8Array(0);
  let happened: Promise<void> | undefined;
  for await (const piece of dumpcap.stdout) {
    bytes = Uint8Array.from([...bytes, ...piece]);
    // It has begun to capture once it has written the description of the interface.
    happened ??= happen();
    if (octetString(bytes).includes(until)) break;
  }
  await happened;
  return bytes;
}
