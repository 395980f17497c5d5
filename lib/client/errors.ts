/**
 * Errors of the client. Each message is one line for the user.
 *
 * @module
 */

/** No valid response arrived. The message is one line for the user. */
export class ClientError extends Error {
  /** The name of this error class. */
  override name = "ClientError";
}

/** No response arrived in time. */
export class TimeoutError extends ClientError {
  /** The name of this error class. */
  override name = "TimeoutError";
}

/** Invalid input. The message is one line for the user. */
export class InputError extends Error {
  /** The name of this error class. */
  override name = "InputError";
}

/** The user cancelled the exchange. */
export class Cancelled extends ClientError {
  /** The name of this error class. */
  override name = "Cancelled";
}

/** The response is not valid HTTP. */
export class InvalidResponse extends ClientError {
  /** The name of this error class. */
  override name = "InvalidResponse";
  /** The octets that were received but not decoded. */
  readonly octets: Uint8Array;

  /** Creates an error. */
  constructor(message: string, octets: Uint8Array) {
    super(message);
    this.octets = octets;
  }
}
