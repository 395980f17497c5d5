import assert from "node:assert/strict";
import { Pairing } from "../../lib/exchange.ts";
import type { Message } from "../../lib/exchange.ts";
import { BatchWriter } from "../../lib/batch_writer.ts";
import { ExchangeLines, Printer, requestFindings, responseFindings } from "../../lib/relay/printer.ts";
import { Relayed } from "./relayed.ts";
import { wireOctets } from "../wire_cases.ts";

function exchangeOf(request: string, response: string): { request: Message; response: Message } {
  const messages: Message[] = [];
  const pairing = new Pairing((event) => event.kind === "head" && messages.push(event.message));
  pairing.octets("request", wireOctets(request));
  pairing.octets("response", wireOctets(response));
  return { request: messages[0], response: messages[1] };
}

const CHANGE = { start: 0, from: "localhost:9997", to: "api.example", isAccepted: true };

const origins: [origin: string, found: boolean][] = [
  ["http://localhost:9997", true],
  ["https://api.example", false],
  ["http://api.example:8080", true],
  ["null", false],
];
for (const [origin, found] of origins) {
  Deno.test(`an Origin that differs from the new Host is told of: ${origin}`, () => {
    const { request } = exchangeOf(`GET / HTTP/1.1\r\nHost: localhost:9997\r\nOrigin: ${origin}\r\n\r\n`, "");
    assert.equal(requestFindings(request, CHANGE).length, found ? 1 : 0);
    assert.deepEqual(requestFindings(request, undefined), []);
  });
}

const responses: [fields: string, host: string, texts: RegExp[]][] = [
  ["Location: https://api.example/a", "localhost:9997", [/^Location leaves the relay: https:\/\/api\.example\/a /]],
  ["Location: //api.example/a", "localhost:9997", [/^Location leaves/]],
  ["Location: /a", "localhost:9997", []],
  ["Location: http://localhost:9997/a", "localhost:9997", []],
  ["Location: http://api.example/a", "api.example", []],
  ["Location: https://api.example/a", "api.example", [/^Location leaves/]],
  ["Set-Cookie: s=1; Path=/; domain=.Api.Example", "localhost:9997", [
    /localhost refuses the cookie s: its Domain is api\.example/,
  ]],
  ["Set-Cookie: s=1; Domain=example", "api.example", []],
  ["Set-Cookie: s=1; Domain=localhost\r\nSet-Cookie: t=2", "localhost", []],
];
for (const [fields, host, texts] of responses) {
  Deno.test(`what a browser at ${host} does otherwise: ${JSON.stringify(fields)}`, () => {
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const { response } = exchangeOf(request, `HTTP/1.1 200 OK\r\n${fields}\r\nContent-Length: 0\r\n\r\n`);
    const found = responseFindings(response, false);
    assert.equal(found.length, texts.length);
    texts.forEach((text, i) => assert.match(found[i].text, text));
  });
}

/** A printer, and what it has printed. */
function printing(terminal: boolean): { observer: Printer["observer"]; printed: () => Promise<string> } {
  let text = "";
  const decoder = new TextDecoder();
  const writer = new BatchWriter({
    write: (bytes) => {
      text += decoder.decode(bytes, { stream: true });
      return Promise.resolve(bytes.length);
    },
  });
  const { observer } = new Printer(writer, {
    secure: false,
    verbose: false,
    columns: terminal ? () => Infinity : undefined,
    showCredentials: false,
    explanation: () => "",
    fault: () => "",
  });
  return { observer, printed: () => writer.flush().then(() => text) };
}

Deno.test("behind a broken request, each changed Host is printed on a line of its own", async () => {
  const { observer, printed } = printing(false);
  await using relay = new Relayed({ observer });
  const { client, upstream } = await relay.sent("GET /| HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (const target of ["/b", "/c", "/d"]) {
    await upstream.until("\r\n\r\n");
    await upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
    await client.receive();
    await client.send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }
  await upstream.until("\r\n\r\n");
  assert.equal((await printed()).split("\nHost: localhost -> api.example\n").length - 1, 4);
});

Deno.test("of long content the first 16 KiB are printed, however it comes, and then how much more there is", async () => {
  const { observer, printed } = printing(false);
  const pairing = new Pairing((event) => observer.exchange?.(1, event));
  observer.opened?.(1, "127.0.0.1:5");
  pairing.octets("request", wireOctets("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  pairing.octets("response", wireOctets("HTTP/1.1 200 OK\r\nContent-Length: 21000\r\n\r\n"));
  for (let i = 0; i < 3; i++) pairing.octets("response", wireOctets("~".repeat(7000)));
  const text = await printed();
  assert.equal(text.split("~").length - 1, 16 * 1024);
  assert.match(text, new RegExp(`~\n.*\\b${21_000 - 16 * 1024} more octets`));
});

for (const terminal of [false, true]) {
  Deno.test(`a message begins on a line of its own, and its content goes on in one: terminal ${terminal}`, async () => {
    const { observer, printed } = printing(terminal);
    const pairing = new Pairing((event) => observer.exchange?.(1, event));
    const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // So much is shown as it comes.
    const start = "a".repeat(4000);
    const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${start.length + 6}\r\n\r\n`;
    observer.opened?.(1, "127.0.0.1:5");
    pairing.octets("request", wireOctets(request));
    for (const octets of [`${head}${start}`, "-----b"]) {
      pairing.octets("response", wireOctets(octets));
      // What shows content is a step behind.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    pairing.octets("request", wireOctets(request));
    await new Promise((resolve) => setTimeout(resolve, 0));
    observer.closed?.(1, "by the client", 2);
    const [asked, answered] = ["REQUEST", "RESPONSE"].map((what) => `-----${what}-----\n`);
    assert.equal(
      (await printed()).replaceAll("\r\n", "\n"),
      `${asked}${request}${answered}${head}${start}-----b\n${asked}${request}`.replaceAll("\r\n", "\n"),
    );
  });
}

Deno.test("octets of a head that are no UTF-8 are shown as such on a terminal", async () => {
  const { observer, printed } = printing(true);
  const pairing = new Pairing((event) => observer.exchange?.(1, event));
  observer.opened?.(1, "127.0.0.1:5");
  pairing.octets("request", wireOctets("GET / HTTP/1.1\r\nHost: localhost\r\nA: \xe9 \xc3\xa9\r\n\r\n"));
  assert.match(await printed(), /^A: \\xe9 é$/m);
});

Deno.test("a changed Host is shown where it stands, in each request of a connection", async () => {
  const { observer, printed } = printing(false);
  const pairing = new Pairing((event) => observer.exchange?.(1, event));
  observer.opened?.(1, "127.0.0.1:5");
  let sent = 0;
  for (const target of ["/", "/second"]) {
    const request = `GET ${target} HTTP/1.1\r\nHost: localhost:9997\r\nAccept: */*\r\n\r\n`;
    observer.changed?.(1, { ...CHANGE, start: sent + request.indexOf(CHANGE.from) });
    pairing.octets("request", wireOctets(request));
    pairing.octets("response", wireOctets("HTTP/1.1 204 No Content\r\n\r\n"));
    sent += request.length;
  }
  const heads = [...(await printed()).matchAll(/GET [^]*?\r?\n\r?\n/g)].map(([head]) => head.replaceAll("\r\n", "\n"));
  const host = "Host: localhost:9997 -> api.example\nAccept: */*\n\n";
  assert.deepEqual(heads, [`GET / HTTP/1.1\n${host}`, `GET /second HTTP/1.1\n${host}`]);
});

const targets: [showCredentials: boolean | undefined, shown: string][] = [
  [undefined, "//user:(6 octets)@host/a"],
  [false, "//user:(6 octets)@host/a"],
  [true, "//user:secret@host/a"],
];
for (const [showCredentials, shown] of targets) {
  Deno.test(`a password in a logged target is its length unless it is shown: ${showCredentials}`, () => {
    const logged: unknown[] = [];
    const { observer } = new ExchangeLines(({ target }) => logged.push(target), showCredentials);
    const pairing = new Pairing((event) => observer.exchange?.(1, event));
    observer.opened?.(1, "127.0.0.1:5");
    pairing.octets("request", wireOctets("GET //user:secret@host/a HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    pairing.octets("response", wireOctets("HTTP/1.1 204 No Content\r\n\r\n"));
    assert.deepEqual(logged, [shown]);
  });
}
