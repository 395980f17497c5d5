import assert from "node:assert/strict";
import { BatchWriter } from "../../lib/batch_writer.ts";
import { HttpError } from "../../lib/http/error.ts";
import { Fields } from "../../lib/http/fields.ts";
import { requestLog, type RequestLogOptions } from "../../lib/server/request_log.ts";
import type { Observer } from "../../lib/server/context.ts";
import { requestOf } from "../support.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const NO_BYTES = new Uint8Array(0);
/** A terminal of any width. */
const TERMINAL = { columns: () => Infinity };
const MIDNIGHT = new Date(2026, 0, 1).getTime();

/** Returns the output, one character per octet. */
async function printed(options: Partial<RequestLogOptions>, events: (log: Observer) => void): Promise<string> {
  let text = "";
  const writer = new BatchWriter({
    write(bytes) {
      text += octetString(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  events(
    requestLog(writer, {
      verbose: false,
      format: "text",
      showCredentials: false,
      now: () => MIDNIGHT,
      ...options,
    }),
  );
  await writer.flush();
  return text;
}

const HEAD = "GET /a HTTP/1.1\r\nHost: b\r\nX-A: \xe9\x1b\r\n\r\n".replace("\x1b", "");

Deno.test("a request is printed byte for byte where it is piped", async () => {
  const text = await printed({}, (log) => {
    log.request!(1, requestOf(HEAD), NO_BYTES, Fields.EMPTY);
    log.request!(1, requestOf("PUT /a HTTP/1.1\r\nHost: b\r\n\r\n"), wireOctets("\x1b\xff"), Fields.EMPTY);
    log.request!(1, requestOf(HEAD), wireOctets("a\n"), Fields.EMPTY);
  });
  assert.equal(
    text,
    `-----REQUEST-----\n${HEAD}-----REQUEST-----\nPUT /a HTTP/1.1\r\nHost: b\r\n\r\n\x1b\xff\n-----REQUEST-----\n${HEAD}a\n`,
  );
});

Deno.test("a request is printed escaped where it goes to a terminal", async () => {
  const text = await printed(TERMINAL, (log) => {
    log.request!(1, requestOf("PUT /a HTTP/1.1\r\nHost: b\r\n\r\n"), wireOctets('{"a":"\x1b[2J\r"}'), Fields.EMPTY);
  });
  assert.equal(text, '-----REQUEST-----\nPUT /a HTTP/1.1\nHost: b\n\n{"a":"\\x1b[2J\\r"}\n');
});

Deno.test("trailers follow the content, and are named", async () => {
  const text = await printed({}, (log) => {
    log.request!(1, requestOf(HEAD), wireOctets("a"), new Fields("X-Sum: 1\r\n\r\n", [0, 5, 7, 8]));
  });
  assert.equal(text, `-----REQUEST-----\n${HEAD}a\n-----TRAILERS-----\nX-Sum: 1\r\n`);
});

Deno.test("an invalid request is printed up to the error, with the error", async () => {
  const error = new HttpError(400, "Saw \x1b", { rule: "RFC 9112 §2.2", offset: 3 });
  const exact = await printed({}, (log) => log.refused!(1, error, "", wireOctets("GET\x1b"), 0));
  assert.equal(exact, "-----REQUEST-----\nGET\x1b\nrefused: 400 at octet 3 (RFC 9112 \xc2\xa72.2): Saw \x1b\n");
  const safe = await printed(TERMINAL, (log) => log.refused!(1, error, "", wireOctets("GET\x1b"), 0));
  assert.equal(safe, "-----REQUEST-----\nGET\\x1b\nrefused: 400 at octet 3 (RFC 9112 \xc2\xa72.2): Saw \\x1b\n");
});

Deno.test("what is refused before anything was read is one line", async () => {
  const text = await printed({}, (log) => log.refused!(1, new HttpError(400, "No TLS"), "", NO_BYTES, 0));
  assert.equal(text, "refused: 400: No TLS\n");
});

Deno.test("on a terminal, lines on refused messages break between words", async () => {
  const error = new HttpError(400, "A sentence of words", { rule: "R", offset: 3 });
  const text = await printed({ columns: () => 20 }, (log) => {
    log.refused!(1, error, "", wireOctets("GET"), 0);
  });
  assert.equal(text, "-----REQUEST-----\nGET\nrefused: 400 at\noctet 3 (R): A\nsentence of words\n");
});

Deno.test("the explanation of a refused message follows it", async () => {
  const error = new HttpError(400, "No", { rule: "R", offset: 3 });
  const seen: unknown[] = [];
  const explain = (...args: unknown[]) => {
    seen.push(args);
    return "   here\n";
  };
  const text = await printed({ explain }, (log) => log.refused!(1, error, "", wireOctets("GET"), 5));
  assert.equal(text, "-----REQUEST-----\nGET\nrefused: 400 at octet 3 (R): No\n   here\n");
  assert.deepEqual(seen, [[error, wireOctets("GET"), 5]]);
});

Deno.test("responses and ends of connections are printed only with --verbose", async () => {
  const events = (log: Observer) => {
    log.opened?.(7, "127.0.0.1:5");
    log.response?.(7, wireOctets("HTTP/1.1 200 OK\r\n\r\n5\r\n"), 200);
    log.response?.(7, wireOctets("hello"), undefined);
    log.closed?.(7, "by the client", 1);
    log.closed?.(8, "by the server (idle too long)", 2);
  };
  assert.equal(await printed({}, events), "");
  assert.equal(
    await printed({ verbose: true }, events),
    "-----RESPONSE----- 7, 127.0.0.1:5, 00:00:00.000\nHTTP/1.1 200 OK\r\n\r\n5\r\nhello\n" +
      "connection 7 closed by the client after 1 request\n" +
      "connection 8 closed by the server (idle too long) after 2 requests\n",
  );
});

Deno.test("as JSON each event is one line", async () => {
  const text = await printed({ verbose: true, format: "json" }, (log) => {
    log.opened!(1, "p");
    log.request!(1, requestOf("PUT /a HTTP/1.1\r\nHost: b\r\n\r\n"), wireOctets("\xed\x95\x91"), Fields.EMPTY);
    log.request!(
      1,
      requestOf("GET /a HTTP/1.1\r\nHost: b\r\n\r\n"),
      NO_BYTES,
      new Fields("A: b\r\n\r\n", [0, 1, 3, 4]),
    );
    log.refused!(1, new HttpError(400, "No", { rule: "R", offset: 0 }), "", wireOctets("\xff"), 0);
    log.response!(1, wireOctets("HTTP/1.1 200 OK\r\n\r\n"), 200);
    log.closed!(1, "by the client", 2);
  });
  const time = new Date(MIDNIGHT).toISOString();
  const lines = new TextDecoder().decode(wireOctets(text)).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [
    { time, event: "opened", connection: 1, peer: "p" },
    {
      time,
      event: "request",
      connection: 1,
      method: "PUT",
      target: "/a",
      head: "PUT /a HTTP/1.1\r\nHost: b\r\n\r\n",
      content: "핑",
    },
    {
      time,
      event: "request",
      connection: 1,
      method: "GET",
      target: "/a",
      head: "GET /a HTTP/1.1\r\nHost: b\r\n\r\n",
      trailers: [["A", "b"]],
    },
    {
      time,
      event: "refused",
      connection: 1,
      status: 400,
      detail: "No",
      rule: "R",
      offset: 0,
      head: "",
      unreadBase64: "/w==",
    },
    { time, event: "response", connection: 1, status: 200, content: "HTTP/1.1 200 OK\r\n\r\n" },
    { time, event: "closed", connection: 1, reason: "by the client", requests: 2 },
  ]);
});

Deno.test("once a second client has connected, requests are printed with connection and time", async () => {
  const text = await printed({ now: () => MIDNIGHT + 43_262_123 }, (log) => {
    const request = (id: number) =>
      log.request!(id, requestOf("GET /a HTTP/1.1\r\nHost: b\r\n\r\n"), NO_BYTES, Fields.EMPTY);
    log.opened!(1, "127.0.0.1:5");
    request(1);
    log.closed!(1, "by the client", 1);
    log.opened!(2, "127.0.0.1:6");
    request(2);
    log.opened!(3, "127.0.0.1:7");
    request(3);
    log.closed!(3, "by the client", 1);
    request(2);
  });
  assert.deepEqual(text.split("\n").filter((line) => line.startsWith("-----")), [
    "-----REQUEST-----",
    "-----REQUEST-----",
    "-----REQUEST----- 3, 127.0.0.1:7, 12:01:02.123",
    "-----REQUEST----- 2, 127.0.0.1:6, 12:01:02.123",
  ]);
});

Deno.test("credentials are printed as their length, in text and JSON, for valid and refused requests", async () => {
  const head = "GET /a HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer s3cret\r\nCookie: id=s3cret\r\n\r\n";
  const events = (log: Observer) => {
    log.request!(
      1,
      requestOf(head),
      wireOctets("Cookie: content"),
      new Fields("Cookie: s3cret\r\n\r\n", [0, 6, 8, 14]),
    );
    log.refused!(1, new HttpError(400, "No"), "", wireOctets(head), 0);
    log.refused!(1, new HttpError(400, "No"), head, NO_BYTES, 0);
  };
  for (const options of [{}, TERMINAL, { format: "json", verbose: true }] as const) {
    const text = await printed(options, events);
    assert.doesNotMatch(text, /s3cret/, JSON.stringify(options));
    assert.match(text, /Authorization: Bearer \(6 octets\)/);
    assert.match(text, /Cookie: \(9 octets\)/);
    assert.match(text, /Cookie: content/, "content is no field");
    assert.match(await printed({ ...options, showCredentials: true }, events), /Authorization: Bearer s3cret/);
  }
});

Deno.test("a browser's request for the icon is printed only with --verbose", async () => {
  const events = (log: Observer) => {
    for (const line of ["GET /favicon.ico", "GET /favicon.ico?x", "PUT /favicon.ico", "GET /favicon.icon"]) {
      log.request!(1, requestOf(`${line} HTTP/1.1\r\nHost: b\r\n\r\n`), NO_BYTES, Fields.EMPTY);
    }
  };
  const times = async (options: Partial<RequestLogOptions>) =>
    (await printed(options, events)).split("favicon.ic").length - 1;
  assert.equal(await times({}), 2);
  assert.equal(await times({ verbose: true }), 4);
  // As JSON, requests stand beside the log of exchanges, and each shows its target twice.
  assert.equal(await times({ format: "json", verbose: true }), 8);
});
