/**
 * Distinguishes errors that only mean a closed connection from defects.
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
