/**
 * The door to exchanges: octets of both directions in, messages out that are paired, labelled and judged.
 *
 * The files behind it, in `exchange/`, do no I/O. All views of the traffic listen to them; none decodes for itself.
 *
 * @module
 */

export {
  answeredIn,
  type Direction,
  type Exchange,
  type ExchangeEvent,
  finalResponse,
  type Message,
  type Stop,
  titleOf,
} from "./exchange/messages.ts";
export { Pairing, type PairingOptions } from "./exchange/pairing.ts";
export { kindOfLine } from "./exchange/start_lines.ts";
