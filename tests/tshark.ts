/**
 * What Wireshark's tshark makes of a capture.
 */

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
