import assert from "node:assert/strict";
import { Display, type DisplayOptions } from "../../lib/client/display.ts";
import { Decoder } from "../../lib/http/decoder.ts";
import { RESPONSE_LIMITS } from "../../lib/limits.ts";
import { painterFor } from "../../lib/terminal.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** Returns the output for a response, and for the request before it. */
async function shown(
  octets: string,
  options: Partial<DisplayOptions> = {},
  terminal = true,
  content = "",
  fields = "",
): Promise<string> {
  let text = "";
  const display = new Display({
    screen: {
      terminal,
      columns: () => 20,
      write: (bytes) => Promise.resolve(void (text += octetString(bytes))),
      flush: () => Promise.resolve(),
      note: () => Promise.resolve(),
    },
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    interactive: false,
    painter: painterFor(false),
    ...options,
  });
  await display.show({
    kind: "sent",
    head: wireOctets(`PUT / HTTP/1.1\r\n${fields}\r\n`),
    content: wireOctets(content),
  });
  const decoder = new Decoder("response", RESPONSE_LIMITS);
  decoder.receive(wireOctets(octets));
  for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
    if (event.kind !== "request" && event.kind !== "closed") await display.show(event);
  }
  await display.endLine();
  return text;
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n";
const JSON_TEXT = '{"Momo":{"type":"cat","age":3}}';
const INDENTED = '{\n  "Momo": {\n    "type": "cat",\n    "age": 3\n  }\n}\n(shown indented; 31 octets on the wire)\n';

Deno.test("JSON that does not fit the terminal is indented, but never when piped", async () => {
  assert.equal(await shown(HEAD + JSON_TEXT), HEAD.replaceAll("\r", "") + INDENTED);
  assert.equal(await shown(HEAD + JSON_TEXT, {}, false), `${JSON_TEXT}\n`);
  assert.equal(await shown(HEAD + JSON_TEXT, { pretty: "none", print: "b" }), `${JSON_TEXT}\n`);
  assert.equal(
    await shown(HEAD + JSON_TEXT, { pretty: "all" }, false),
    INDENTED.replace(/\(shown.*\n/, ""),
    "the note is for people",
  );
});

Deno.test("a request's content is shown if there is any", async () => {
  const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  assert.equal(await shown(empty, { print: "B" }, false, "x"), "x\n");
  assert.equal(await shown(empty, { print: "HB" }, false), "PUT / HTTP/1.1\r\n\r\n");
  assert.match(
    await shown(empty, { print: "B" }, true, "a", "content-type: image/png\r\n"),
    /^1 octet of image\/png, /,
  );
});

Deno.test("an invalid response is shown with masked credentials", async () => {
  let text = "";
  const write = (bytes: Uint8Array) => Promise.resolve(void (text += octetString(bytes)));
  const screen = {
    terminal: true,
    columns: () => 80,
    write,
    flush: () => Promise.resolve(),
    note: () => Promise.resolve(),
  };
  const options = { screen, print: undefined, pretty: "auto", showCredentials: false, interactive: false } as const;
  const display = new Display({ ...options, painter: painterFor(false) });
  await display.showInvalid("HTTP/9 \x1b\r\nSet-Cookie: s3cret\r\n\r\nx");
  assert.equal(text, "HTTP/9 \\x1b\nSet-Cookie: (6 octets)\n\nx\n");
});

Deno.test("trailers are separated by a line", async () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n";
  assert.match(await shown(chunked), /\n\na\n-----TRAILERS-----\nX-Sum: 1\n$/);
  assert.match(await shown(chunked, { print: "hb" }, false), /\r\n\r\na\n-----TRAILERS-----\nX-Sum: 1\r\n$/);
  assert.equal(await shown(chunked, { print: "b" }), "a\n");
});
