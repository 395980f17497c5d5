/**
 * What can go wrong for a client. Each message is one line for the user.
 *
 * @module
 */

/** No valid answer came. Its message is one line for the user. */
export class ClientError extends Error {
  /** Tells this error from others by name. */
  override name = "ClientError";
}

/** No answer came in time. */
export class TimeoutError extends ClientError {
  /** Tells this error from others by name. */
  override name = "TimeoutError";
}

/** Input that is not taken. Its message is one line for the user. */
export class InputError extends Error {
  /** Tells this error from others by name. */
  override name = "InputError";
}

/** The user did not want to wait any longer. */
export class Cancelled extends ClientError {
  /** Tells this error from others by name. */
  override name = "Cancelled";
}

/** What came is not HTTP. */
export class InvalidResponse extends ClientError {
  /** Tells this error from others by name. */
  override name = "InvalidResponse";
  /** What was received and not understood. */
  readonly octets: Uint8Array;

  /** Makes the error. */
  constructor(message: string, octets: Uint8Array) {
    super(message);
    this.octets = octets;
  }
}
