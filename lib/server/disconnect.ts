/**
 * Distinguishes errors of connections: one that is closed, a system that lacks resources, or a defect.
 *
 * @module
 */

const { errors } = Deno;

const DISCONNECTS = [
  errors.ConnectionReset,
  errors.ConnectionAborted,
  errors.BrokenPipe,
  errors.NotConnected,
  errors.TimedOut,
  errors.UnexpectedEof,
  // Reads and writes fail with these once the connection is closed at this end.
  errors.BadResource,
  errors.Interrupted,
  // The client did not speak TLS where TLS is expected.
  errors.InvalidData,
];

/** Whether the error means that the connection is closed. */
export function isDisconnect(error: unknown): boolean {
  if (DISCONNECTS.some((kind) => error instanceof kind)) return true;
  // Other errors of the system have its codes, such as EHOSTUNREACH; codes that start with ERR_ are from Node.js.
  return error instanceof Error && "code" in error && /^E(?!RR_)[A-Z0-9]+$/.test(String(error.code));
}

/** Closes connections, of which some may be closed already. */
export function closeAll(...connections: readonly Deno.Conn[]): void {
  for (const connection of connections) {
    try {
      connection.close();
    } catch {
      // It is closed.
    }
  }
}

/** Whether accepting failed because the client had left already. Others need not wait for that. */
export function hadLeft(error: unknown): boolean {
  if ([errors.ConnectionAborted, errors.ConnectionReset, errors.NotConnected].some((kind) => error instanceof kind)) {
    return true;
  }
  return ["ECONNABORTED", "ECONNRESET", "ENOTCONN"].includes((error as { code?: string }).code ?? "");
}

/** What the system lacks when it refuses a connection. */
export type Scarcity = "descriptors" | "memory";

/** Error codes of the system for a lack of resources. */
const SCARCE_CODES: Readonly<Record<string, Scarcity>> = {
  EMFILE: "descriptors",
  ENFILE: "descriptors",
  ENOBUFS: "memory",
  ENOMEM: "memory",
};
/** Their numbers, for errors that only have a message: those of Linux and macOS, then those of Windows. */
const DESCRIPTOR_NUMBERS = /\(os error (?:23|24|10024)\)/;
const MEMORY_NUMBERS = /\(os error (?:12|55|105|10055)\)/;

/** Returns what the system lacks; `undefined` if the error means something else. */
export function scarcity(error: unknown): Scarcity | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, message } = error as Error & { code?: string };
  if (code !== undefined) return Object.hasOwn(SCARCE_CODES, code) ? SCARCE_CODES[code] : undefined;
  if (DESCRIPTOR_NUMBERS.test(message)) return "descriptors";
  return MEMORY_NUMBERS.test(message) ? "memory" : undefined;
}
