/**
 * Explains the last exchange of a client's connection from the events of its tap.
 *
 * @module
 */

import { Explainer, type Explanation } from "../../exchange.ts";
import { KEPT_EXCHANGE_BYTES } from "../../limits.ts";
import type { Fin, Octets, TrafficEvent } from "../../traffic.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";

/** Listens to a tap at the client's end, and explains the latest exchange. */
export class LastExchange {
  #state: "none" | "begun" | "ended" = "none";
  #explainer: Explainer | undefined;
  #explanations: Explanation[] = [];
  /** Events that are explained on demand, or when they are many: most exchanges are never explained. */
  #kept: (Octets | Fin)[] = [];
  #keptBytes = 0;

  /** Starts an exchange and forgets the last one. */
  begin(): void {
    this.#state = "begun";
    this.#explainer = undefined;
    this.#explanations = [];
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** Receives an event of the connection. */
  tell(event: TrafficEvent): void {
    if (this.#state !== "begun" || event.kind === "closed") return;
    // On a new connection the request is sent again from its start.
    if (event.kind === "opened") return this.begin();
    this.#kept.push(event.kind === "fin" ? event : { ...event, bytes: event.bytes.slice() });
    if (event.kind !== "fin") this.#keptBytes += event.bytes.length;
    if (this.#keptBytes > KEPT_EXCHANGE_BYTES) this.#explain();
  }

  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void {
    if (this.#state !== "begun") return;
    this.#state = "ended";
    const explainer = this.#explain();
    explainer.end();
    this.#explanations.push(...explainer.take());
    // Requests may be finished after their responses.
    this.#explanations.sort((a, b) => Number(a.direction === "response") - Number(b.direction === "response"));
  }

  /** Returns the exchange as text: the request, then each response; `undefined` if there was no exchange. */
  text(options: ExplainTextOptions): string | undefined {
    if (this.#state === "none") return undefined;
    this.end();
    return this.#explanations.map((explanation) => explanationText(explanation, options)).join("\n");
  }

  #explain(): Explainer {
    const explainer = this.#explainer ??= new Explainer();
    for (const event of this.#kept.splice(0)) {
      if (event.kind === "fin") explainer.pairing.fin(event.by === "client" ? "request" : "response");
      else explainer.octets(event.kind === "write" ? "request" : "response", event.bytes);
    }
    this.#keptBytes = 0;
    this.#explanations.push(...explainer.take());
    return explainer;
  }
}
