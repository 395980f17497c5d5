import assert from "node:assert/strict";
import { Beginning, kindOfLine, protocolOf, startsMessage } from "../../lib/exchange/start_lines.ts";
import { octetString, wireOctets } from "../wire_cases.ts";
import { type Direction, StartLineSearch } from "../../lib/exchange.ts";

const lines: [line: string, kind: string | undefined][] = [
  ["GET / HTTP/1.1\r\n", "request"],
  ["GET / HTTP/1.0\n", "request"],
  ["HTTP/1.1 200 OK\r\n", "response"],
  ["HTTP/1.1 200\r\n", "response"],
  ["GET / HTTP/1.1", undefined],
  ["GET / HTTP/2\r\n", undefined],
  ["Host: a\r\n", undefined],
  [`GET /${"a".repeat(10_000)} HTTP/1.1\r\n`, undefined],
];

for (const [line, kind] of lines) {
  Deno.test(`${JSON.stringify(line.slice(0, 20))} starts ${kind ?? "nothing"}`, () => {
    assert.equal(kindOfLine(line), kind);
    for (const one of ["request", "response"] as const) {
      assert.equal(startsMessage(wireOctets(`${line}Host: a\r\n`), one), one === kind && line.endsWith("\n"));
    }
  });
}

const HTTP = "HTTP/1";
const SIMPLE = "HTTP/0.9 (RFC 1945 §4.1)";
/** The start of a hello whose ALPN extension has a line end and a version of HTTP in it. */
const HELLO = `\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03GET / HTTP/1.1\r\n\x08http/1.1`;

const beginnings: [octets: string, request: string | undefined, response: string | undefined][] = [
  ["GET / HTTP/1.1\r\n", HTTP, ""],
  ["PURGE / HTTP/1.1\r\n", HTTP, ""],
  ["DELETE\t/\r\n", HTTP, ""],
  ["GET \0", HTTP, ""],
  ["POST /\r\n", HTTP, ""],
  ["\r\nGET / HTTP/1.1\r\n", HTTP, ""],
  ["get / http/1.0\n", HTTP, ""],
  ["GET / HTTP/2.0\r\n", HTTP, ""],
  ["GE", undefined, ""],
  ["GET ", undefined, ""],
  ["OPTIONS /", undefined, ""],
  ["", undefined, undefined],
  ["\r\n", undefined, ""],
  ["hello", undefined, ""],
  ["hello\r\n", "", ""],
  ["x".repeat(10_000), "", ""],
  ["a\x01b GET / HTTP/1.1\r\n", "", ""],
  ["cookie: a=HTTP/1.1\r\n", "", ""],
  ["see HTTP/1.1 for more\r\n", "", ""],
  ["GET /\r\n", SIMPLE, ""],
  ["HTTP/1.1 200 OK", undefined, HTTP],
  ["HTTP/", undefined, HTTP],
  ["HTT", undefined, undefined],
  ["ICY 200 OK\r\n", "", ""],
  [HELLO, "TLS (RFC 8446 §5.1)", "TLS (RFC 8446 §5.1)"],
  ["\x15\x03\x03\0\x02", "TLS (RFC 8446 §5.1)", "TLS (RFC 8446 §5.1)"],
  ["\x80\x2e\x01\0\x02\0\x15", "an SSLv2 hello (RFC 5246 §E.2)", ""],
  ["\x80\x4c\x01\x03\x01\0\x33", "an SSLv2 hello (RFC 5246 §E.2)", ""],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 (RFC 9113 §3.4)", ""],
  ["\0\0\x12\x04\0\0\0\0\0", undefined, "HTTP/2 (RFC 9113 §3.4)"],
  ["OPTIONS rtsp://a/b RTSP/1.0\r\n", "RTSP (RFC 7826 §7.1)", ""],
  ["RTSP/1.0 200 OK\r\n", "", "RTSP (RFC 7826 §7.1)"],
  ["OPTIONS sip:a@b SIP/2.0\r\n", "SIP (RFC 3261 §7.1)", ""],
  ["SIP/2.0 200 OK\r\n", "", "SIP (RFC 3261 §7.1)"],
  ["SSH-2.0-OpenSSH\r\nGET / HTTP/1.1", "SSH (RFC 4253 §4.2)", "SSH (RFC 4253 §4.2)"],
  ["EHLO example.org\r\n", "SMTP (RFC 5321 §3.1)", ""],
  ["220 mx ESMTP ready\r\n", "", "SMTP (RFC 5321 §3.1)"],
  ["USER anna\r\n", "FTP (RFC 959 §4.1)", ""],
  ["USER anna 0 * :Anna\r\n", "", ""],
  ["+OK POP3 ready\r\n", "", "POP3 (RFC 1939 §4)"],
  ["+OK\r\n", "", ""],
  ["\x01\x01\0\x01\0\x08\0\0\0\x01", "FastCGI (FastCGI 1.0 §3.3)", ""],
  ["PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\n", "a PROXY line (PROXY protocol §2)", ""],
  ["\r\n\r\n\0\r\nQUIT\n\x21\x11", "a PROXY line (PROXY protocol §2)", ""],
];

for (const [octets, request, response] of beginnings) {
  Deno.test(`${JSON.stringify(octets.slice(0, 40))} begins ${request || "nothing"}, or ${response || "nothing"}`, () => {
    assert.deepEqual([protocolOf(octets, "request"), protocolOf(octets, "response")], [request, response]);
  });
}

const connections: [name: string, octets: string[], isHttp: boolean, other: string | undefined][] = [
  ["a request that is cut off", ["> GET /"], true, undefined],
  ["a request, octet by octet", [..."GET / HTTP/1.1\r\n"].map((octet) => `> ${octet}`), true, undefined],
  ["TLS and an answer that is not", [`> ${HELLO}`, "< HTTP/1.1 400 Bad Request\r\n"], true, undefined],
  ["a PROXY line", ["> PROXY TCP4 a b 1 2\r\n", "< HTTP/1.1 200 OK\r\n"], false, "a PROXY line (PROXY protocol §2)"],
  ["TLS, octet by octet", [...HELLO].map((octet) => `> ${octet}`), false, "TLS (RFC 8446 §5.1)"],
  ["nonsense and an answer", ["> hello\r\n", "< HTTP/1.1 400 Bad Request\r\n"], true, undefined],
  ["a greeting of mail to read", ["< +OK ready\r\n", "> USER anna\r\n"], false, "POP3 (RFC 1939 §4)"],
  ["a greeting", ["< 220 ESMTP\r\n", "> QUIT\r\n"], false, "SMTP (RFC 5321 §3.1)"],
  ["a request without a version, answered in HTTP/1", ["> GET /\r\n", "< HTTP/1.1 400 No\r\n"], true, undefined],
  ["a request without a version, answered without a head", ["> GET /\r\n", "< <html>"], false, SIMPLE],
  ["a request without a version or an answer", ["> GET /\r\n"], true, undefined],
  ["no octets", [], false, undefined],
];

for (const [name, pieces, isHttp, other] of connections) {
  Deno.test(`a connection with ${name} is ${isHttp ? "" : "not "}HTTP/1`, () => {
    const beginning = new Beginning();
    for (const piece of pieces) {
      beginning.receive(piece.startsWith(">") ? "request" : "response", wireOctets(piece.slice(2)));
    }
    beginning.end();
    assert.equal(beginning.isHttp, isHttp);
    if (!isHttp) assert.equal(beginning.other || undefined, other);
  });
}

/** Returns what is found in packets: direction, octets with the packet each comes from, octets skipped. */
function search(packets: readonly string[], wanted?: Direction): string {
  const searched = new StartLineSearch<number>();
  for (const [i, text] of packets.entries()) {
    const lent = wireOctets(text);
    const found = searched.receive(lent, i + 1, wanted);
    if (found !== undefined) {
      const pieces = found.pieces.map(({ bytes, packet }) => `${packet}: ${JSON.stringify(octetString(bytes))}`);
      return `${found.direction} ${pieces.join(", ")} after ${searched.skipped}`;
    }
    lent.fill(0);
  }
  return `nothing in ${searched.giveUp()}`;
}

const GET = "GET / HTTP/1.1\r\n";
const OK = "HTTP/1.1 200 OK\r\n";
const cases: [name: string, packets: string[], wanted: Direction | undefined, found: string][] = [
  ["at the start of a packet", [GET], undefined, `request 1: ${JSON.stringify(GET)} after 0`],
  ["of a response", [`${OK}A: b`], undefined, `response 1: ${JSON.stringify(`${OK}A: b`)} after 0`],
  ["after the end of a message", [`x: y\r\n\r\n${GET}`], undefined, `request 1: ${JSON.stringify(GET)} after 8`],
  ["in a later packet", ["a\0b", "c", OK], undefined, `response 3: ${JSON.stringify(OK)} after 4`],
  ["behind text without a line end", ["content", OK], undefined, `response 2: ${JSON.stringify(OK)} after 7`],
  ["cut in two", ["x\nGET / H", "TTP/1.1\r\nA"], undefined, `request 1: "GET / H", 2: "TTP/1.1\\r\\nA" after 2`],
  ["cut in three", ["HTTP", "/1.1 404", " \r\n"], undefined, `response 1: "HTTP", 2: "/1.1 404", 3: " \\r\\n" after 0`],
  ["cut, but another", ["GET / H", GET], undefined, `request 2: ${JSON.stringify(GET)} after 7`],
  ["without a reason", ["HTTP/1.0 304\n"], undefined, `response 1: "HTTP/1.0 304\\n" after 0`],
  ["of the wanted direction", [OK, GET], "request", `request 2: ${JSON.stringify(GET)} after ${OK.length}`],
  ["of the other wanted direction", [GET, OK], "response", `response 2: ${JSON.stringify(OK)} after ${GET.length}`],
  ["that never ends", ["GET /", "abc"], undefined, "nothing in 8"],
  ["that is too long", [`GET /${"a".repeat(9 * 1024)} HTTP/1.1\r\n`], undefined, "nothing in 9232"],
  ["that grows too long", ["GET /", "a".repeat(9 * 1024), " HTTP/1.1\r\n"], undefined, "nothing in 9232"],
  ["of another version", ["GET / HTTP/2.0\r\n"], undefined, "nothing in 16"],
];

for (const [name, packets, wanted, found] of cases) {
  Deno.test(`a start line is found: ${name}`, () => assert.equal(search(packets, wanted), found));
}
