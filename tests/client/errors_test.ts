import assert from "node:assert/strict";
import { connectError, endOf, startOf, timeoutError, unseenMs } from "../../lib/client/errors.ts";
import { wireOctets } from "../wire_cases.ts";

const starts: [octets: string, name: string][] = [
  ["HTTP/1.1 503 Service Unavailable\r\nA: b\r\n", "HTTP/1.1 503 Service Unavailable"],
  ["SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1"],
  ["220 mail.example ESMTP \x1b\xe9\n", "220 mail.example ESMTP \\x1b\\xe9"],
  ["\0\0\x12\x04\0\0\0\0\0\0\x03", "a SETTINGS frame of HTTP/2"],
  ["\0\0\x08\x07\0\0\0\0\0", "a GOAWAY frame of HTTP/2"],
  ["\0\0\x08\x07\0\0\0\0\x01", "\\x00\\x00\\x08\\x07\\x00\\x00\\x00\\x00\\x01"],
  ["\x15\x03\x03", "TLS, for which the address starts with https://"],
  ["x".repeat(200), "x".repeat(100)],
];

for (const [octets, name] of starts) {
  Deno.test(`what starts with ${JSON.stringify(octets.slice(0, 30))} is named`, () => {
    assert.equal(startOf(wireOctets(octets)), name);
  });
}

const alerts: [alert: string, meaning: string][] = [
  ["CertificateRequired", ": the server requires a certificate of the client, which this program has none of"],
  [
    "HandshakeFailure",
    ": the server accepts no cipher or signature of this program, or requires a certificate of the client",
  ],
  ["NoApplicationProtocol", ": the server speaks HTTP/2 only"],
  ["ProtocolVersion", ": the server speaks only versions of TLS older than 1.2"],
  ["constructor", ""],
];

for (const [alert, meaning] of alerts) {
  Deno.test(`the alert ${alert} of TLS is told with its meaning, in a handshake and later`, () => {
    const error = new Deno.errors.InvalidData(`received fatal alert: ${alert}`);
    assert.equal(endOf(error), `TLS alert ${alert}${meaning}`);
    const { message } = connectError(error, { secure: true, host: "h", port: 1 }, undefined) as Error;
    assert.equal(message, `Cannot connect to h:1: TLS alert ${alert}${meaning}`);
  });
}

Deno.test("how a connection ended is told in the words of TCP", () => {
  assert.equal(endOf(new Deno.errors.ConnectionReset("x")), "RST");
  assert.equal(endOf(new Deno.errors.UnexpectedEof("x")), "FIN without TLS's close_notify");
  assert.equal(endOf(new Error("other")), "other");
});

Deno.test("what was handed over has time for 64 KiB/s, for its last 4 MiB", () => {
  assert.equal(unseenMs(0), 0);
  assert.equal(unseenMs(64 * 1024), 1000);
  assert.equal(unseenMs(4 * 1024 * 1024), 64_000);
  assert.equal(unseenMs(1e12), 64_000);
});

Deno.test("a timeout names its flag, and the time for an upload", () => {
  assert.equal(timeoutError(1000).message, "No response came within 1 second (--timeout)");
  assert.equal(timeoutError(500, 400).message, "No response came within 0.5 seconds (--timeout)");
  assert.equal(
    timeoutError(30_000, 64_000).message,
    "No response came within 30 seconds (--timeout), and 64 seconds for what was sent last",
  );
});
