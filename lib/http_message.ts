/**
 * The codec's door: HTTP/1.1 messages. The files behind it, in `http/`, are pure: octets in, events out, and back.
 *
 * @module
 */

export { percentDecoded } from "./bytes.ts";
export { Decoder } from "./http/decoder.ts";
export { Encoder, isStream } from "./http/encoder.ts";
export { CAUSES, type Degree, type FaultCode, SECTION_CAUSES } from "./http/causes.ts";
export {
  type FieldProblem,
  HttpError,
  type HttpErrorOptions,
  isContentless,
  isInterim,
  leavesHttp,
  reasonPhrase,
  RETRY_SOON,
} from "./http/error.ts";
export { Fields } from "./http/fields.ts";
export { saysClose } from "./http/framing.ts";
export {
  type FieldLine,
  isBlank,
  isFieldValue,
  isFramingField,
  isToken,
  LF,
  listMembers,
  METHODS_WITH_CONTENT,
} from "./http/grammar.ts";
export { isSecureTarget, TLS_START } from "./http/start_line.ts";
export * from "./http/message.ts";
