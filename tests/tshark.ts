/**
 * What Wireshark's tshark makes of a capture.
 */

import { octetString } from "./wire_cases.ts";

/** Whether tshark is installed. With CI=true, that it is not is a failure. */
export const TSHARK: boolean = isInstalled();

/** The name of a test that needs it: it says why it is skipped, if it is. */
export function withTshark(name: string): string {
  return TSHARK ? name : `skipped, for tshark is not installed: ${name}`;
}

function isInstalled(): boolean {
  try {
    return new Deno.Command("tshark", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (Deno.env.get("CI") === "true") throw new Error("There is no tshark to test recordings with");
    return false;
  }
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

/** The methods, then the statuses of the messages that it finds, by TCP stream. */
export async function messagesOf(file: string, ports: readonly number[]): Promise<Map<number, string>> {
  const fields = ["tcp.stream", "http.request.method", "http.response.code"].flatMap((field) => ["-e", field]);
  const lines = await tshark(file, ports, "-Y", "http", "-T", "fields", ...fields);
  const found = new Map<number, { methods: string[]; statuses: string[] }>();
  for (const line of lines.trim().split("\n")) {
    // What a packet has more than one of is separated by commas.
    const [stream, methods, statuses] = line.split("\t");
    const messages = found.get(Number(stream)) ?? { methods: [], statuses: [] };
    found.set(Number(stream), messages);
    messages.methods.push(...methods.split(",").filter(Boolean));
    messages.statuses.push(...statuses.split(",").filter(Boolean));
  }
  const texts = [...found].map(([stream, { methods, statuses }]) =>
    [stream, [...methods, ...statuses].join(" ")] as const
  );
  return new Map(texts.sort(([a], [b]) => a - b));
}

/** What each end sent in TCP streams, one character per octet, and the warnings and errors of all packets. */
export async function octetsOf(
  file: string,
  ports: readonly number[],
  streams: readonly number[],
  filter = "",
): Promise<{ followed: Map<number, { client: string; server: string }>; faults: string[] }> {
  const follow = streams.flatMap((stream) => ["-z", `follow,tcp,raw,${stream}`]);
  const report = await tshark(file, ports, "-q", "-z", ["expert", "warn", filter].filter(Boolean).join(), ...follow);
  // A line of its table: how often, the group, the protocol, what is wrong.
  const faults = report.match(/^ +\d+ .*$/gm) ?? [];
  const texts = report.split("Follow: tcp,raw").slice(1);
  const followed = new Map(texts.map((text) => {
    const stream = Number(/tcp\.stream eq (\d+)/.exec(text)![1]);
    const sides = { client: "", server: "" };
    for (const [, tab, hex] of text.matchAll(/^(\t?)([0-9a-f]+)$/gm)) {
      sides[tab === "" ? "client" : "server"] += octetString(Uint8Array.fromHex(hex));
    }
    return [stream, sides] as const;
  }));
  return { followed, faults };
}

/** Whether dumpcap, which comes with tshark, may capture the loopback traffic of this machine. */
export const CAPTURES: boolean = TSHARK && Deno.build.os === "linux" && mayCapture();

function mayCapture(): boolean {
  // It lists the interfaces that it may capture from, and ends.
  const { stdout } = new Deno.Command("dumpcap", { args: ["-D", "-M"], stderr: "null" }).outputSync();
  return /^\d+\. lo\b/m.test(new TextDecoder().decode(stdout));
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
