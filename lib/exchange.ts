/**
 * The door to exchanges: octets of both directions in, messages out that are paired, labelled and judged.
 *
 * The files behind it, in `exchange/`, do no I/O. All views of the traffic listen to them; none decodes for itself.
 *
 * @module
 */

export { Explainer, type ExplainerOptions, explainOctets, messageKindOf } from "./exchange/explainer.ts";
export * from "./exchange/explanation.ts";
export { Judge, type Verdict } from "./exchange/judge.ts";
export * from "./exchange/messages.ts";
export { withLineEnds } from "./exchange/line_ends.ts";
export { octetsOf, readable, unitAt, units } from "./exchange/octet_text.ts";
export { Pairing, type PairingOptions } from "./exchange/pairing.ts";
export { Beginning, type FoundLine, StartLineSearch, startsMessage } from "./exchange/start_lines.ts";
export { FileExplainer, type FileExplainerOptions, type Placed } from "./exchange/file_explainer.ts";
export { degreeSentence, fixFor, restartFindings } from "./exchange/verdict.ts";
