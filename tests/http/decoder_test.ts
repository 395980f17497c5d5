import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { decoderFor, eventsOf, readCases, wireOctets } from "../wire_cases.ts";

function* byteByByte(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

const TAILS = { request: "GET /tail HTTP/1.1\r\nHost: t\r\n\r\n", response: "HTTP/1.1 204 Tail\r\n\r\n" };
const TAIL_EVENTS = {
  request: ["GET /tail HTTP/1.1 (Host: t) 0 bytes", "end"],
  response: ["HTTP/1.1 204 Tail () 0 bytes", "end"],
};

for (const { file, cases } of readCases()) {
  for (const wireCase of cases) {
    const { name, section, closed, events } = wireCase;
    const bytes = wireOctets(wireCase.wire);
    Deno.test(`${file}: ${section}: ${name}`, async (t) => {
      await t.step("whole", () => assert.deepEqual(eventsOf(decoderFor(wireCase), [bytes], closed), events));
      await t.step("byte by byte", () => {
        assert.deepEqual(eventsOf(decoderFor(wireCase), byteByByte(bytes), closed), events);
      });
      await t.step("in two pieces, split anywhere", () => {
        const step = Math.max(1, Math.floor(bytes.length / 200));
        for (let at = 1; at < bytes.length; at += step) {
          const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
          assert.deepEqual(eventsOf(decoderFor(wireCase), pieces, closed), events, `split at ${at}`);
        }
      });
      if (!closed && events.at(-1) !== "closed") {
        await t.step("with the next message behind it", () => {
          const kind = wireCase.kind ?? "request";
          const withTail = new Uint8Array([...bytes, ...wireOctets(TAILS[kind])]);
          const expected = events.at(-1)?.startsWith("end") ? [...events, ...TAIL_EVENTS[kind]] : events;
          assert.deepEqual(eventsOf(decoderFor(wireCase), [withTail]), expected);
        });
      }
    });
  }
}

Deno.test("a failed decoder stays failed", () => {
  const decoder = decoderFor({});
  decoder.receive(wireOctets("GET / HTTP/1.1\nHost: a\r\n\r\n"));
  const failure = (): unknown => {
    try {
      decoder.next();
    } catch (error) {
      return error;
    }
  };
  const first = failure();
  assert(first instanceof HttpError);
  decoder.receive(wireOctets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  assert.equal(failure(), first);
});

Deno.test("a decoder is idle only between two messages", () => {
  const decoder = decoderFor({});
  assert.equal(decoder.idle, true);
  decoder.receive(wireOctets("GET / HTTP/1.1\r\n"));
  decoder.next();
  assert.equal(decoder.idle, false);
  decoder.receive(wireOctets("Host: a\r\n\r\n"));
  assert.equal(decoder.next()?.kind, "request");
  assert.equal(decoder.next()?.kind, "end");
  assert.equal(decoder.next(), undefined);
  assert.equal(decoder.idle, true);
  assert.equal(decoder.reusable, true);
  decoder.receive(wireOctets("\r"));
  decoder.next();
  assert.equal(decoder.idle, false);
  decoder.receive(wireOctets("\n"));
  decoder.next();
  assert.equal(decoder.idle, true, "an empty line may come before a request");
  assert.equal(decoder.reusable, false, "but only one");
});

Deno.test("a decoder works after its memory was released", () => {
  const decoder = decoderFor({});
  const octets = wireOctets("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (let i = 0; i < 3; i++) {
    decoder.receive(octets);
    assert.equal(decoder.next()?.kind, "request");
    assert.equal(decoder.next()?.kind, "end");
    decoder.release();
  }
  decoder.receive(wireOctets("GET / HTTP/1.1\r\nBad"));
  assert.equal(decoder.next(), undefined);
  decoder.receive(wireOctets(" : a\r\n"));
  assert.throws(() => decoder.next(), { offset: 19 });
});

Deno.test("consumed octets are counted from the message's start", () => {
  const decoder = decoderFor({});
  const content = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
  decoder.receive(wireOctets(`GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n${content}ab`));
  decoder.next();
  decoder.next();
  assert.equal(decoder.consumed, 0, "between two messages");
  decoder.next();
  assert.equal(decoder.consumed, 2 + content.length, "an empty line before a request belongs to it");
  decoder.next();
  assert.equal(decoder.consumed, content.length + 4);
  decoder.next();
  decoder.receive(wireOctets("c"));
  decoder.next();
  assert.equal(decoder.consumed, content.length + 5);
  decoder.receive(wireOctets("dGET /\n"));
  decoder.next();
  decoder.next();
  assert.throws(() => decoder.next(), { fault: "no-version", offset: 5 });
  assert.deepEqual([decoder.consumed, decoder.unread.length], [0, 6]);
});

Deno.test("a request's method is known once it is complete", () => {
  const decoder = decoderFor({});
  for (const [octets, method] of [["HE", ""], ["AD ", "HEAD"], ["/ HTTP/1.1\r\nHo", "HEAD"], ["st: a\r\n\r\n", ""]]) {
    decoder.receive(wireOctets(octets));
    decoder.next();
    assert.equal(decoder.method, method, octets);
  }
  assert.equal(decoder.next()!.kind, "end");
  // The empty line that may precede the next request is no method.
  decoder.receive(wireOctets("\r"));
  assert.deepEqual([decoder.next(), decoder.method], [undefined, ""]);
});

Deno.test("a head keeps its text, octet for octet", () => {
  const decoder = decoderFor({});
  const head = "GET / HTTP/1.1\r\nHost: a\r\nX-Name:  \xe9\x80 \r\n\r\n";
  decoder.receive(wireOctets(head));
  const event = decoder.next();
  assert(event?.kind === "request");
  assert.equal(event.text, head);
  assert.equal(event.fields.get("x-name"), "\xe9\x80");
});

Deno.test("only the given number of octets is received, also after others", () => {
  const decoder = decoderFor({});
  const buffer = new Uint8Array(64).fill(0xee);
  let request: unknown;
  for (const piece of ["GET / HTTP/1.1\r\nHo", "st: a\r\n", "\r\n"]) {
    buffer.set(wireOctets(piece));
    decoder.receive(buffer, piece.length);
    request = decoder.next();
    buffer.fill(0xee);
  }
  assert.equal((request as { text: string }).text, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
});

const cutOff: [octets: string, message: string][] = [
  ["GET / HT", "The connection ended in the middle of the head"],
  ["GET / HTTP/1.1\r\nHost: a\r\n", "The connection ended in the middle of the head"],
  [
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na",
    "The connection ended in the middle of the content: 2 more octets were announced",
  ],
  [
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
    "The connection ended in the middle of the content",
  ],
];

for (const [octets, message] of cutOff) {
  Deno.test(`cut off behind ${JSON.stringify(octets.slice(-12))}, a message says where`, () => {
    const decoder = decoderFor({});
    decoder.receive(wireOctets(octets));
    while (decoder.next() !== undefined);
    decoder.close();
    assert.throws(() => decoder.next(), { message, fault: "cut-off", offset: octets.length });
  });
}
