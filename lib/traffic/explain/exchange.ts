/**
 * Explains the last exchange of a client's connection from the events of its tap.
 *
 * @module
 */

import { KEPT_EXCHANGE_BYTES } from "../../limits.ts";
import type { End, TrafficEvent } from "../../traffic.ts";
import { Explainer, type Explanation } from "./explain.ts";
import { type ExplainTextOptions, explanationText } from "./text.ts";

/** Listens to a tap at the client's end, and explains the latest exchange. */
export class LastExchange {
  /** Created once there is something to explain. */
  #explainers: { readonly request: Explainer; readonly response: Explainer } | undefined;
  #method: string | undefined;
  /** The requests explained so far, and the methods of those without a response. */
  #requests: Explanation[] = [];
  #methods: (string | undefined)[] = [];
  #begun = false;
  #finished = false;
  /** Octets that are explained on demand, or when they are many. */
  readonly #kept: { readonly kind: "read" | "write"; readonly bytes: Uint8Array }[] = [];
  #keptBytes = 0;
  /** The ends that have closed their side. */
  readonly #fins = new Set<End>();
  #explanations: Explanation[] = [];

  /**
   * Starts an exchange and forgets the last one.
   *
   * @param method The request's method; by default it is taken from the requests sent.
   */
  begin(method?: string): void {
    this.#method = method;
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
    this.#finish();
  }

  /** Returns the exchange as text: the request, then each response; `undefined` if there was no exchange. */
  text(options: ExplainTextOptions): string | undefined {
    if (!this.#begun) return undefined;
    this.#finish();
    return this.#explanations.map((explanation) => explanationText(explanation, options)).join("\n");
  }

  #explainKept(): { readonly request: Explainer; readonly response: Explainer } {
    const { request, response } = this.#explainers ??= {
      request: new Explainer({ kind: "request" }),
      response: new Explainer({ kind: "response", answers: () => this.#method ?? this.#methods.shift() }),
    };
    for (const { kind, bytes } of this.#kept.splice(0)) {
      (kind === "read" ? response : request).receive(bytes);
      if (kind === "write") this.#takeRequests(request);
    }
    this.#keptBytes = 0;
    return { request, response };
  }

  #takeRequests(request: Explainer): void {
    const requests = request.take();
    this.#requests.push(...requests);
    this.#methods.push(...requests.map(({ method }) => method));
  }

  #restart(): void {
    this.#explainers = undefined;
    this.#requests = [];
    this.#methods = [];
    this.#kept.length = 0;
    this.#keptBytes = 0;
    this.#finished = false;
    this.#fins.clear();
    this.#explanations = [];
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    const { request, response } = this.#explainKept();
    request.end(this.#fins.has("client"));
    this.#takeRequests(request);
    response.end(this.#fins.has("server"));
    this.#explanations = [...this.#requests, ...response.take()];
  }
}
