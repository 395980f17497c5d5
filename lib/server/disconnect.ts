/**
 * Which errors only mean that a connection is gone, and are no defect.
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
  // Reading and writing fail with these once the connection is closed at this end.
  errors.BadResource,
  errors.Interrupted,
  // What came is no TLS, where TLS was expected.
  errors.InvalidData,
];

/** Whether the error means that the connection is gone. */
export function isDisconnect(error: unknown): boolean {
  if (DISCONNECTS.some((kind) => error instanceof kind)) return true;
  // Other errors of the operating system have its code, as EHOSTUNREACH; those that start with ERR_ are Node.js's own.
  return error instanceof Error && "code" in error && /^E(?!RR_)[A-Z0-9]+$/.test(String(error.code));
}
