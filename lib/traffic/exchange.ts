/**
 * The last exchange of a client's connection, explained: what the tap tells of it, in both directions.
 *
 * @module
 */

import type { TrafficEvent } from "../traffic.ts";
import { Explainer, type Explanation } from "./explain.ts";
import { type ExplainTextOptions, explanationText } from "./explain_text.ts";

/** Listens to a tap at the client's end, and explains the exchange that was begun last. */
export class LastExchange {
  #request = new Explainer({ kind: "request" });
  #response = new Explainer({ kind: "response" });
  #method = "GET";
  #begun = false;
  #finished = false;
  /** Whether the server has ended its side. */
  #closed = false;
  #explanations: Explanation[] = [];

  /** Begins an exchange: what was told before is forgotten. */
  begin(method: string): void {
    this.#method = method;
    this.#begun = true;
    this.#restart();
  }

  /** Receives what happens on the connection. */
  tell(event: TrafficEvent): void {
    if (!this.#begun || this.#finished) return;
    switch (event.kind) {
      case "opened":
        // On a new connection the request is sent from its start.
        return this.#restart();
      case "write":
        return this.#request.receive(event.bytes);
      case "read":
        return this.#response.receive(event.bytes);
      case "fin":
        this.#closed ||= event.by === "server";
    }
  }

  /** The exchange as text: the request, then each response. `undefined` if there was no exchange. */
  text(options: ExplainTextOptions): string | undefined {
    if (!this.#begun) return undefined;
    this.#finish();
    return this.#explanations.map((explanation) => explanationText(explanation, options)).join("\n");
  }

  #restart(): void {
    this.#request = new Explainer({ kind: "request" });
    this.#response = new Explainer({ kind: "response", answers: () => this.#method });
    this.#finished = false;
    this.#closed = false;
    this.#explanations = [];
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#request.end();
    this.#response.end(this.#closed);
    this.#explanations = [...this.#request.take(), ...this.#response.take()];
  }
}
