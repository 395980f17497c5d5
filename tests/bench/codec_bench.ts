/** Micro-benchmarks of the codec: `deno task bench:codec`. */

import { Decoder } from "../../lib/http/decoder.ts";
import { Encoder } from "../../lib/http/encoder.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";

const ENCODER = new TextEncoder();
const GET = "GET /Pingping HTTP/1.1\r\nHost: 127.0.0.1:9999\r\n\r\n";
const BROWSER = `GET /Pingping HTTP/1.1\r
Host: 127.0.0.1:9999\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
Accept-Language: en-US,en;q=0.5\r
Accept-Encoding: gzip, deflate, br, zstd\r
Connection: keep-alive\r
Upgrade-Insecure-Requests: 1\r
Sec-Fetch-Dest: document\r
Sec-Fetch-Mode: navigate\r
Sec-Fetch-Site: none\r
\r
`;
const ROW = '{"type":"snail","age":"1","leg":"0"}';
const PUT =
  `PUT /Pingping HTTP/1.1\r\nHost: 127.0.0.1:9999\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n${ROW}`;
const CHUNKED = `PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${
  "10\r\n0123456789abcdef\r\n".repeat(8)
}0\r\n\r\n`;

/** Two messages in turn, so that no head is the same as the one before. */
function alternating(message: string): Uint8Array[] {
  return [message, message.replace("Host: ", "Host: x")].map((text) => ENCODER.encode(text));
}

function decode(decoder: Decoder, bytes: Uint8Array): void {
  decoder.receive(bytes);
  while (decoder.next() !== undefined);
}

const decoder = new Decoder("request", REQUEST_LIMITS);
let turn = 0;
for (
  const [name, message] of [["GET", GET], ["GET from a browser", BROWSER], ["PUT", PUT], ["8 chunks", CHUNKED]] as const
) {
  const messages = alternating(message);
  Deno.bench(`decode ${name}`, { group: "decode" }, () => decode(decoder, messages[turn++ & 1]));
}
const pipelined = ENCODER.encode(GET.repeat(16));
Deno.bench("decode 16 pipelined GETs", { group: "decode" }, () => decode(decoder, pipelined));

const encoder = new Encoder();
const context = { method: "GET", minor: 1, close: false, date: "Sun, 06 Nov 1994 08:49:37 GMT" } as const;
const response = { status: 200, contentType: "application/json", etag: 1_790_000_000_000_000 } as const;
const text = `{"Pingping":${ROW}}`;
const bytes = ENCODER.encode(text);
Deno.bench("encode a response with text", { group: "encode" }, () => {
  encoder.clear();
  encoder.response({ ...response, content: text }, context);
});
Deno.bench("encode a response with bytes", { group: "encode" }, () => {
  encoder.clear();
  encoder.response({ ...response, content: bytes }, context);
});
