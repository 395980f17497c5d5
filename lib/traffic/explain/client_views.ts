/** The views at a client's end: the last exchange explained, the transcript of a raw one, the life of connections. */

import type { Socket } from "../../bytes.ts";
import { Explainer, type Explanation } from "../../exchange.ts";
import { FALLBACK_COLUMNS } from "../../limits.ts";
import { type Painter, terminalColumns } from "../../terminal.ts";
import type { Fin, Octets, TrafficEvent, TrafficListener } from "../../traffic.ts";
import { allOf, directionOf, lifeLine, tapped } from "../tap.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";
import { Transcript } from "./transcript.ts";

/** Events of the last exchange that are kept before they are explained: most exchanges are short, and never are. */
const KEPT_EVENTS = 16;

interface ClientViewsOptions {
  readonly explain: boolean;
  /** Whether the life of connections is shown. */
  readonly verbose: boolean;
  readonly showCredentials: boolean;
  /** How long a raw exchange waits for the next octets. */
  readonly timeoutMs: number;
  /** The kind of the only command; `undefined` if commands are read from the input. */
  readonly kind: string | undefined;
  readonly record: TrafficListener | undefined;
  readonly painter: Painter;
  readonly terminal: boolean;
  /** Receives the text of exchanges. */
  readonly write: (text: string) => void;
  /** Receives the lines on the life of connections. */
  readonly writeLife: (text: string) => void;
}

/** The views of the traffic. Each listens to the tap, which exists only if there is a view. */
interface ClientViews {
  readonly tap: ((conn: Socket) => Socket) | undefined;
  readonly explain: LastExchange;
  readonly raw: Transcript;
  /** Shows what is accepted in responses, though it breaks a rule. */
  readonly accepted: ((sentence: string) => void) | undefined;
}

export function clientViews(options: ClientViewsOptions): ClientViews {
  const { verbose, kind, record, painter, timeoutMs, terminal, showCredentials, write, writeLife } = options;
  const sentenceWidth = () => terminal ? terminalColumns() : Infinity;
  const explain = new LastExchange(
    () => ({
      width: terminal ? terminalColumns() : FALLBACK_COLUMNS,
      sentenceWidth: sentenceWidth(),
      painter,
      masked: !showCredentials,
    }),
    options.explain,
  );
  const raw = new Transcript({ write, painter, timeoutMs, width: sentenceWidth });
  const listeners: TrafficListener[] = [];
  if (kind === undefined || options.explain) listeners.push((event) => explain.receive(event));
  if (kind === undefined || kind === "raw") listeners.push((event) => raw.receive(event));
  if (record !== undefined) listeners.push(record);
  if (verbose) listeners.push((event) => writeLife(`${painter("dim", lifeLine(event))}\n`));
  const listener = allOf(listeners);
  let connections = 0;
  return {
    tap: listener && ((conn) => tapped(conn, "client", ++connections, listener)),
    explain,
    raw,
    accepted: verbose ? (sentence) => writeLife(`=> ${sentence}\n`) : undefined,
  };
}

/** Explains the latest exchange in safe text. */
export class LastExchange {
  /** Explains the exchange until that has ended. */
  #explainer: Explainer | undefined;
  #explanations: Explanation[] | undefined;
  #kept: (Octets | Fin)[] = [];

  /** Explains with this layout, on demand or each exchange. */
  constructor(private readonly layout: () => ExplainTextOptions, readonly each: boolean = false) {}

  begin(): void {
    this.#explainer = new Explainer();
    this.#kept = [];
  }

  receive(event: TrafficEvent): void {
    if (this.#explainer === undefined || event.kind === "closed") return;
    // On a new connection the request is sent again from its start.
    if (event.kind === "opened") return this.begin();
    this.#kept.push(event.kind === "fin" ? event : { ...event, bytes: event.bytes.slice() });
    if (this.#kept.length > KEPT_EVENTS) this.#explain(this.#explainer);
  }

  #explain(explainer: Explainer): void {
    for (const event of this.#kept.splice(0)) {
      if (event.kind === "fin") explainer.pairing.fin(directionOf(event));
      else explainer.octets(directionOf(event), event.bytes);
    }
  }

  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void {
    if (this.#explainer === undefined) return;
    this.#explain(this.#explainer);
    this.#explainer.end();
    // Requests may be finished after their responses.
    const { request = [], response = [] } = Object.groupBy(this.#explainer.take(), ({ direction }) => direction);
    this.#explanations = [...request, ...response];
    this.#explainer = undefined;
  }

  /** Returns the exchange as text: the request, then each response; `undefined` if there was no exchange. */
  text(): string | undefined {
    this.end();
    const options = this.layout();
    return this.#explanations?.map((explanation) => explanationText(explanation, options)).join("\n");
  }
}
