import assert from "node:assert/strict";
import { SHOWN_RAW_EVENTS, SHOWN_RAW_OCTETS } from "../../../lib/limits.ts";
import { painterFor } from "../../../lib/terminal.ts";
import type { TrafficEvent } from "../../../lib/traffic.ts";
import { Transcript } from "../../../lib/traffic/explain/transcript.ts";
import { wireOctets } from "../../wire_cases.ts";

const SEEN = { end: "client", connection: 1 } as const;

/** What happens: text that is sent or received, or something else. */
type Happening = `> ${string}` | `< ${string}` | "fin" | "server fin" | "reset";

/** Lets things happen, a millisecond after the other. */
class Exchange {
  text = "";
  #time = 0;
  readonly transcript = new Transcript({
    write: (text) => void (this.text += text),
    painter: painterFor(false),
    timeoutMs: 2000,
    now: () => this.#time,
  });

  constructor(...happenings: Happening[]) {
    this.transcript.begin();
    this.happen(...happenings);
  }

  happen(...happenings: Happening[]): void {
    for (const happening of happenings) this.transcript.receive(this.#event(happening));
  }

  #event(happening: Happening): TrafficEvent {
    const seen = { ...SEEN, time: this.#time += 1000 };
    if (happening === "fin") return { ...seen, kind: "fin", by: "client" };
    if (happening === "server fin") return { ...seen, kind: "fin", by: "server" };
    if (happening === "reset") return { ...seen, kind: "closed", reason: "reset", isReset: true };
    return { ...seen, kind: happening[0] === ">" ? "write" : "read", bytes: wireOctets(happening.slice(2)) };
  }
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

Deno.test("a request in two pieces, with half-close: the sample of the design", () => {
  const exchange = new Exchange("> GET / HT", "> TP/1.1\r\nHost: localhost\r\n\r\n", "fin");
  assert.equal(exchange.transcript.expects, "response");
  exchange.transcript.sent(0);
  exchange.happen(`< ${OK}`);
  assert.equal(exchange.transcript.expects, "fin", "it will close once it has answered");
  exchange.happen("server fin");
  assert.deepEqual(exchange.transcript.end("complete"), { status: 200, valid: true });
  assert.equal(
    exchange.text,
    String.raw`  0.001 >    8  GET / HT
  0.002 >   27  TP/1.1\r\nHost: localhost\r\n\r\n
  0.003 >  FIN
by the rules: a complete request: GET /
  0.004 <   40  HTTP/1.1 200 OK\r\n
                Content-Length: 2\r\n
                \r\n
                {}
  0.005 <  FIN
as the rules allow
`,
  );
});

Deno.test("of a pipelined pair, each response has its line, even from one read", () => {
  const exchange = new Exchange(`> ${GET}HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n`);
  exchange.transcript.sent(0);
  exchange.happen(`< ${OK}HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n`);
  assert.equal(exchange.transcript.expects, "nothing", "an answer to HEAD has no content");
  assert.equal(exchange.transcript.end("complete").status, 404);
  assert.match(
    exchange.text,
    /^by the rules: a complete request: GET \/\nby the rules: a complete request: HEAD \/b\n {2}0\.002 < {3}40 {2}HTTP/m,
  );
  assert.match(exchange.text, /^ {2}0\.002 < {3}45 {2}HTTP\/1\.1 404 Not Found/m);
});

const predictions: [octets: string, lines: string][] = [
  [
    "GET / HTTP/1.1\nHost: a\n\n",
    "may be refused: 400 at octet 14, a bare LF follows the HTTP version, or read as a line end (RFC 9112 §2.2)\n" +
    "      fix: end every line with \\r\\n; shells and editors write \\n alone",
  ],
  ["GET / HT", "not a whole request yet: needs more: the head has not ended"],
  [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    "not a whole request yet: needs 6 more octets of content",
  ],
  [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "may be refused: 400 at octet 64, Content-Length or Transfer-Encoding, saw both, " +
    "or read by Transfer-Encoding alone (RFC 9112 §6.1)\n" +
    "      fix: send one of the two, never both\n" +
    "      two readings, which is how a request is smuggled (RFC 9112 §11.2):\n" +
    "        by Content-Length:    content 75-80, then nothing\n" +
    '        by Transfer-Encoding: content 75-79, then "G"',
  ],
  [
    "GET / HTTP/1.1\r\n\r\n",
    "must be refused: 400 at octet 0, an HTTP/1.1 request must have a Host field, saw none (RFC 9112 §3.2)",
  ],
  [
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "must be refused: 400 at octet 20, a blank stands before the colon of a field (RFC 9112 §5.1)",
  ],
];

for (const [octets, lines] of predictions) {
  Deno.test(`by the rules: ${lines.split("\n")[0]}`, () => {
    const exchange = new Exchange(`> ${octets}`);
    exchange.transcript.sent(0);
    const [, predicted] = exchange.text.split("by the rules: ");
    assert.equal(predicted.slice(0, lines.length), lines);
    assert.equal(exchange.transcript.expects, "response");
  });
}

Deno.test("after the answer to a broken request the server should close", () => {
  const exchange = new Exchange("> GET / HTTP/1.1\n\n", `< ${OK}`);
  assert.equal(exchange.transcript.expects, "fin");
});

Deno.test("an interim response answers nothing yet; 101 ends HTTP", () => {
  const upgrade = GET.replace("\r\n", "\r\nUpgrade: x\r\n");
  const exchange = new Exchange(`> ${upgrade}`, "< HTTP/1.1 100 Continue\r\n\r\n");
  assert.equal(exchange.transcript.expects, "response");
  exchange.happen("< HTTP/1.1 101 Switching Protocols\r\n\r\n\x00\x01no HTTP");
  assert.equal(exchange.transcript.expects, "nothing");
  assert.deepEqual(exchange.transcript.end("complete"), { status: 101, valid: true });
});

Deno.test("what is sent behind CONNECT is judged by the answer, if that came before the end of what is sent", () => {
  const connect = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
  const chunked = `${GET.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")}2\r\nab\r\n0\r\n\r\n`;
  const refusal = "HTTP/1.1 405 No\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n";
  const late = new Exchange(`> ${connect}${chunked}`);
  late.transcript.sent(0);
  late.happen(`< ${refusal}${OK}`);
  assert.match(late.text, /^by the rules: 67 octets after it: not read: no answer has said what this is$/m);
  assert.equal(late.transcript.end("complete").status, 200);
  const early = new Exchange(`> ${connect}${chunked}`, `< ${refusal}`);
  early.transcript.sent(0);
  assert.match(early.text, /^by the rules: a complete request: GET \/$/m);
  const tunnel = new Exchange(`> ${connect}xyz`, "< HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  tunnel.transcript.sent(0);
  assert.match(
    tunnel.text,
    /^by the rules: 3 octets after it: no longer HTTP: the connection speaks another protocol$/m,
  );
});

Deno.test("a request that is read behind an error, because the server read on, says so", () => {
  const exchange = new Exchange("> GET / HTTP/1.1\nHost: a\r\n\r\n", `< ${OK}`, `> ${GET}`, `< ${OK}`);
  exchange.transcript.sent(0);
  assert.match(exchange.text, /^by the rules: may be refused: 400 at octet 14, /m);
  assert.match(
    exchange.text,
    /^by the rules: a complete request: GET \/\n {6}=> read again from here on: the server read on after the fault of request 1$/m,
  );
});

Deno.test("a response that is no HTTP is said to be none, once", () => {
  const exchange = new Exchange(`> ${GET}`, "< hello\r\n", "< hello\r\n");
  assert.equal(exchange.transcript.expects, "fin");
  assert.deepEqual(exchange.transcript.end("complete"), { status: undefined, valid: false });
  assert.equal(exchange.text.match(/^by the rules: no valid response at octet 0 of the response, /gm)?.length, 1);
});

Deno.test("content until the connection's end is whole with it", () => {
  const exchange = new Exchange(`> ${GET}`, "< HTTP/1.0 503 No\r\n\r\nbusy");
  assert.equal(exchange.transcript.expects, "response");
  exchange.happen("server fin");
  assert.equal(exchange.transcript.end("complete").status, 503);
});

Deno.test("a reset, a timeout, an early end, and what was not sent are told", () => {
  const exchange = new Exchange(`> ${GET}`);
  exchange.transcript.sent(7);
  exchange.happen("reset");
  exchange.transcript.end("timeout");
  exchange.transcript.end("ended");
  assert.match(exchange.text, /^\(7 octets were not sent: /m);
  assert.match(exchange.text, /^ {2}0\.002 < {2}RST$/m);
  assert.match(exchange.text, /^\(nothing more came within 2 s\)$/m);
  assert.match(exchange.text, /^\(the connection ended before there was a whole response\)$/m);
});

Deno.test("a connection that ends after some of the responses is reported as that", () => {
  const exchange = new Exchange(`> ${GET}${GET}`, "< HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
  exchange.happen("server fin");
  assert.equal(exchange.transcript.end("ended").status, 200);
  assert.match(exchange.text, /^\(the connection ended before every request had a whole response\)$/m);
});

Deno.test("octets and events beyond a screenful are counted", () => {
  const long = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n${"a".repeat(SHOWN_RAW_OCTETS)}`;
  const exchange = new Exchange(`> ${long}`);
  assert.match(exchange.text, new RegExp(`^ {16}… ${long.length - SHOWN_RAW_OCTETS} more octets$`, "m"));
  for (let i = 0; i < SHOWN_RAW_EVENTS; i++) exchange.happen("> ab");
  exchange.transcript.end("complete");
  assert.match(exchange.text, /^… 1 more reads and writes, 2 octets$/m);
});

Deno.test("what comes from a peer is no order to the terminal", () => {
  const exchange = new Exchange(`> ${GET}`, "< HTTP/1.1 200 OK\r\nX: \x1b[2J\xff\r\n");
  assert.match(exchange.text, /X: \\x1b\[2J\\xff\\r\\n/);
});

Deno.test("nothing is told before an exchange begins, nor after its end", () => {
  const exchange = new Exchange();
  exchange.transcript.end("complete");
  exchange.happen(`> ${GET}`);
  assert.equal(exchange.text, "");
});

Deno.test("on a terminal, sentences and what came are wrapped at its width", () => {
  let text = "";
  const transcript = new Transcript({
    write: (line) => void (text += line),
    painter: painterFor(false),
    timeoutMs: 1,
    width: () => 60,
  });
  transcript.begin();
  transcript.receive({ ...SEEN, time: 0, kind: "write", bytes: wireOctets("GET / HTTP/1.1\nHost: a\n\n") });
  transcript.sent(0);
  transcript.receive({ ...SEEN, time: 0, kind: "read", bytes: wireOctets(`${OK.slice(0, 17)}A: ${"b".repeat(60)}`) });
  assert.equal(text.split("\n").every((line) => line.length <= 60), true, text);
  assert.match(text, /^by the rules: may be refused: 400 at octet 14, a bare LF\n {6}follows the HTTP version, /m);
});

const BLANK = "GET / HTTP/1.1\r\nHost : a\r\n\r\n";
const BOTH = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
const TWO = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n";

function answer(status: number, ...fields: string[]): Happening {
  const lines = [...fields, "Content-Length: 0"].map((field) => `${field}\r\n`).join("");
  return `< HTTP/1.1 ${status} Answer\r\n${lines}\r\n`;
}

/** What happens, and the line after the answer. */
const verdicts: [happenings: Happening[], verdict: string | undefined][] = [
  [[`> ${GET}`, answer(200)], "as the rules allow"],
  [[`> ${GET}`, answer(400)], "as the rules allow"],
  [[`> ${GET}`], undefined],
  [[`> ${GET}`, "< HTTP/1.1 100 Continue\r\n\r\n"], undefined],
  [[`> ${BLANK}`, answer(400)], "as the rules say"],
  [[`> ${BLANK}`, answer(200)], "against the rules: RFC 9112 §5.1 says 400"],
  [[`> ${BLANK}`, "< HTTP/1.1 100 Continue\r\n\r\n", answer(404)], "against the rules: RFC 9112 §5.1 says 400"],
  [["> GET / HTTP/1.1\nHost: a\n\n", answer(200)], "as the rules allow"],
  [["> GET / HTTP/1.1\nHost: a\n\n", answer(400)], "as the rules allow"],
  [[`> ${GET}${BLANK}`, answer(200), answer(400)], "as the rules allow"],
  [[`> ${GET}${BLANK}`, answer(200), answer(200)], "against the rules: RFC 9112 §5.1 says 400"],
  // The server has answered before the fault came.
  [["> GET / HTTP/1.1\r\n", answer(408), "> Host : a\r\n\r\n"], "as the rules allow"],
  [[`> ${BOTH}`, answer(200, "Connection: close")], "as the rules allow"],
  [[`> ${BOTH}`, answer(200), "server fin"], "as the rules allow"],
  [[`> ${BOTH}`, answer(400), "reset"], "as the rules allow"],
  [[`> ${BOTH}`, answer(200)], "against the rules: RFC 9112 §6.1 says to close the connection"],
  [[`> ${BOTH}`, answer(400)], "against the rules: RFC 9112 §6.1 says to close the connection"],
  [[`> ${TWO}`, answer(400), "server fin"], "as the rules say"],
  [[`> ${TWO}`, answer(400)], "against the rules: RFC 9112 §6.3 says to close the connection"],
  [
    ["> GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", answer(200)],
    "against the rules: RFC 9112 §9.6 says to close the connection",
  ],
  [
    ["> POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", answer(501), "server fin"],
    "as the rules allow",
  ],
  [["> POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", answer(400), "server fin"], "as the rules say"],
  [
    ["> POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", answer(200), "server fin"],
    "against the rules: RFC 9112 §6.3 says 400",
  ],
  [["> CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", answer(405, "Allow: GET")], "as the rules allow"],
  [["> CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", answer(200)], "against the rules: RFC 9110 §9.3.6 says 400"],
  [
    [`> ${GET}`, "< HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"],
    "against the rules: RFC 9110 §8.6 says no Content-Length here",
  ],
  [
    [`> ${GET}`, "< HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n", answer(200)],
    "against the rules: RFC 9112 §6.1 says no Transfer-Encoding here",
  ],
  [
    ["> GET / HTTP/1.0\r\n\r\n", "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    "against the rules: RFC 9112 §6.1 says no Transfer-Encoding with HTTP/1.0",
  ],
  [
    ["> GET / HTTP/1.0\r\n\r\n", "< HTTP/1.1 100 Continue\r\n\r\n", answer(200)],
    "against the rules: RFC 9110 §15.2 says HTTP/1.0 gets no 1xx",
  ],
  [[`> ${GET}`, answer(401)], "against the rules: RFC 9110 §15.5.2 says 401 has WWW-Authenticate"],
  [[`> ${GET}`, answer(401, "WWW-Authenticate: Bearer")], "as the rules allow"],
  [[`> ${GET}`, answer(405)], "against the rules: RFC 9110 §15.5.6 says 405 has Allow"],
  [[`> ${GET}`, answer(405, "Allow:")], "as the rules allow"],
  [[`> ${GET}`, answer(407)], "against the rules: RFC 9110 §15.5.8 says 407 has Proxy-Authenticate"],
  [[`> ${GET}`, answer(426)], "against the rules: RFC 9110 §15.5.22 says 426 has Upgrade"],
  [
    [`> ${GET}`, "< HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"],
    "against the rules: RFC 9112 §4 says a space follows the status code",
  ],
  [[`> ${GET}`, answer(200, "A: b\r\n c")], "against the rules: RFC 9112 §5.2 says no field is folded"],
];

for (const [happenings, verdict] of verdicts) {
  Deno.test(`${JSON.stringify(happenings)}: ${verdict}`, () => {
    const exchange = new Exchange(...happenings);
    const before = exchange.text;
    const { against = false } = exchange.transcript.end("complete");
    assert.equal(exchange.text.slice(before.length), verdict === undefined ? "" : `${verdict}\n`);
    assert.equal(against, verdict?.startsWith("against") ?? false);
  });
}

Deno.test("what is accepted in a response is told with it", () => {
  const exchange = new Exchange(
    `> ${GET}`,
    "< HTTP/1.1 200\r\nA: b\r\n",
    "<  c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n",
    "< \r\n",
  );
  const told = exchange.text.split("\n").filter((line) => line.includes("=>"));
  assert.deepEqual(told, [
    "      => accepted, though a space is missing after the status code (RFC 9112 §4)",
    "      => accepted, though a field is folded over several lines (RFC 9112 §5.2)",
    "      => accepted, though a field is folded over several lines (RFC 9112 §5.2)",
  ]);
});
