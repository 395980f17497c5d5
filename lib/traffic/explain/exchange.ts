/**
 * Explains the last exchange of a client's connection from the events of its tap.
 *
 * @module
 */

import { Explainer, type Explanation } from "../../exchange.ts";
import { KEPT_EXCHANGE_BYTES } from "../../limits.ts";
import type { End, TrafficEvent } from "../../traffic.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";

/** Listens to a tap at the client's end, and explains the latest exchange. */
export class LastExchange {
  /** Created once there is something to explain. */
  #explainer: Explainer | undefined;
  #begun = false;
  #finished = false;
  /** Octets that are explained on demand, or when they are many. */
  readonly #kept: { readonly kind: "read" | "write"; readonly bytes: Uint8Array }[] = [];
  #keptBytes = 0;
  /** The ends that have closed their side. */
  readonly #fins = new Set<End>();
  #explanations: Explanation[] = [];

  /** Starts an exchange and forgets the last one. */
  begin(): void {
    this.#begun = true;
    this.#restart();
  }

  /** Receives an event of the connection. */
  tell(event: TrafficEvent): void {
    if (!this.#begun || this.#finished) return;
    switch (event.kind) {
      case "opened":
        // On a new connection the request is sent again from its start.
        return this.#restart();
      case "write":
      case "read":
        this.#kept.push({ kind: event.kind, bytes: event.bytes.slice() });
        this.#keptBytes += event.bytes.length;
        if (this.#keptBytes > KEPT_EXCHANGE_BYTES) this.#explainKept();
        return;
      case "fin":
        this.#fins.add(event.by);
    }
  }

  /** Ends the exchange: what follows on a new connection is not part of it. */
  end(): void {
    if (this.#finished) return;
    this.#finished = true;
    const explainer = this.#explainKept();
    for (const direction of ["request", "response"] as const) {
      if (this.#fins.has(direction === "request" ? "client" : "server")) explainer.fin(direction);
    }
    explainer.end("request");
    explainer.end("response");
    this.#explanations.push(...explainer.take());
    // Requests may be finished after their responses.
    this.#explanations.sort((a, b) => Number(a.direction === "response") - Number(b.direction === "response"));
  }

  /** Returns the exchange as text: the request, then each response; `undefined` if there was no exchange. */
  text(options: ExplainTextOptions): string | undefined {
    if (!this.#begun) return undefined;
    this.end();
    return this.#explanations.map((explanation) => explanationText(explanation, options)).join("\n");
  }

  #explainKept(): Explainer {
    const explainer = this.#explainer ??= new Explainer();
    for (const { kind, bytes } of this.#kept.splice(0)) {
      explainer.octets(kind === "write" ? "request" : "response", bytes);
    }
    this.#keptBytes = 0;
    this.#explanations.push(...explainer.take());
    return explainer;
  }

  #restart(): void {
    this.#explainer = undefined;
    this.#kept.length = 0;
    this.#keptBytes = 0;
    this.#finished = false;
    this.#fins.clear();
    this.#explanations = [];
  }
}
