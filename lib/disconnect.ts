/**
 * Which errors of a connection are no defect, but the way of the world: it is gone, by whatever end.
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
  // An error of the operating system that has no class of its own has its code, as "EHOSTUNREACH".
  return DISCONNECTS.some((kind) => error instanceof kind) || error instanceof Error && "code" in error;
}
