/** Judges a server's answers: whether they are as the specification says. */

import {
  CAUSES,
  type FaultCode,
  isInterim,
  leavesHttp,
  type RequestHead,
  type ResponseHead,
  saysClose,
} from "../http_message.ts";

/** What the specification says of a server's answers: the worst finding, and whether an answer is against it. */
export type Verdict = { readonly text: string; readonly against: boolean };

/** Judges a server's answers on one connection. */
export class Judge {
  /** What the specification demands that an answer did not do. */
  #broken: string | undefined;
  /** The section by which the connection has to be closed, though no answer announced it. */
  #closes: string | undefined;
  #answered = false;
  /** Whether each final answer has the very status that the specification demands. */
  #required = true;

  /** Receives a response's head, and its request's: the head if that is valid, or why it was invalid at the time. */
  receive(head: ResponseHead, request: RequestHead | undefined, fault: FaultCode | undefined): void {
    const cause = fault && CAUSES[fault];
    const isRequired = cause?.request.must === true && head.status === cause.status;
    const rule = ANSWER_RULES.find(([, , isBroken]) => isBroken(head, request));
    if (!isInterim(head.status) || head.status === 101) {
      this.#answered = true;
      this.#required &&= isRequired;
      if (cause?.request.must && !isRequired && !cause.request.allows?.(head.status)) {
        this.#broken ??= `${cause.request.rule} says ${cause.status}`;
      }
      const closes = cause?.request.closes ??
        (request !== undefined && saysClose(request.fields.get("connection")) ? "RFC 9112 §9.6" : undefined);
      if (head.persistent) this.#closes ??= closes;
    }
    if (rule !== undefined) this.#broken ??= `${rule[0]} says ${rule[1]}`;
  }

  /** Returns the verdict, once the server has ended the connection or not; `undefined` without a final answer. */
  verdict(ended: boolean): Verdict | undefined {
    if (!this.#answered) return undefined;
    const broken = this.#broken ??
      (ended || this.#closes === undefined ? undefined : `${this.#closes} says to close the connection`);
    if (broken !== undefined) return { text: `against the rules: ${broken}`, against: true };
    return { text: this.#required ? "as the rules say" : "as the rules allow", against: false };
  }
}

type Test = (head: ResponseHead, request: RequestHead | undefined) => boolean;

/** What a server must send or must not send with an answer: the section, what it says, and whether that is broken. */
const ANSWER_RULES: readonly [rule: string, says: string, isBroken: Test][] = [
  ["RFC 9112 §4", "a space follows the status code", ({ text }) => text.startsWith("\r", "HTTP/1.1 200".length)],
  ["RFC 9112 §5.2", "no field is folded", ({ fields }) => fields.folded],
  ["RFC 9110 §15.2", "HTTP/1.0 gets no 1xx", ({ status }, request) => isInterim(status) && request?.minor === 0],
  ["RFC 9112 §6.1", "no Transfer-Encoding with HTTP/1.0", has("transfer-encoding", (_, asked) => asked?.minor === 0)],
  ["RFC 9112 §6.1", "no Transfer-Encoding here", has("transfer-encoding", isUnframed)],
  ["RFC 9110 §8.6", "no Content-Length here", has("content-length", isUnframed)],
  ["RFC 9110 §15.5.2", "401 has WWW-Authenticate", lacks(401, "www-authenticate")],
  ["RFC 9110 §15.5.6", "405 has Allow", lacks(405, "allow")],
  ["RFC 9110 §15.5.8", "407 has Proxy-Authenticate", lacks(407, "proxy-authenticate")],
  ["RFC 9110 §15.5.22", "426 has Upgrade", lacks(426, "upgrade")],
];

function has(name: string, test: Test): Test {
  return (head, request) => head.fields.count(name) > 0 && test(head, request);
}

function lacks(status: number, name: string): Test {
  return ({ status: own, fields }) => own === status && fields.count(name) === 0;
}

/** Whether a response must not have fields that frame content (RFC 9112 §6.1, RFC 9110 §8.6). */
function isUnframed({ status }: ResponseHead, request: RequestHead | undefined): boolean {
  return isInterim(status) || status === 204 || leavesHttp(status, request?.method);
}
