import assert from "node:assert/strict";
import { curlCommand } from "../../lib/client/curl.ts";
import type { HttpRequest } from "../../lib/http_message.ts";
import { type OwnServer, type PastedData, readCurl, shellWords, textOfField } from "../../lib/client/curl.ts";
import { WrongInput } from "../../lib/client/words.ts";

const HTTP: OwnServer = own(false, "127.0.0.1", 9999);
const HTTPS: OwnServer = own(true, "a.example", 443);

function own(secure: boolean, host: string, port: number): OwnServer {
  return {
    endpoint: { secure, host, port },
    commandLine: (args) => `wiretable ${args.join(" ")}`,
    insecureAdvice: "--cacert FILE trusts a certificate",
  };
}

function shownData(data: readonly PastedData[] | undefined): string {
  return data === undefined
    ? ""
    : " " + data.map((part) => "text" in part ? part.text : `<${part.joinsLines ? "-" : ""}${part.file}>`).join("");
}

/** A request in one line: method, target, fields as words, content. */
function shown(line: string, server: OwnServer): string {
  try {
    const { method, target, fields, data, follows } = readCurl(line, server);
    const words = fields.map((field) => `(${textOfField(field)})`);
    return [method, target, ...words].join(" ") + shownData(data) + (follows ? " follows" : "");
  } catch (error) {
    if (!(error instanceof WrongInput)) throw error;
    return `wrong: ${error.message}${error.command === undefined ? "" : `: ${error.command}`}`;
  }
}

const FORM = "(Content-Type: application/x-www-form-urlencoded)";
const L = "(Host: localhost:9999)";
const U = "localhost:9999";

const lines: [line: string, shown: string, server?: OwnServer][] = [
  ["localhost:9999", `GET / ${L}`],
  ["http://127.0.0.1:9999/a?b=c#d", "GET /a?b=c (Host: 127.0.0.1:9999)"],
  ["HTTP://[::1]:9999?b", "GET /?b (Host: [::1]:9999)"],
  ["--url LOCALHOST:9999/x", "GET /x (Host: LOCALHOST:9999)"],
  ["https://a.example/x", "GET /x (Host: a.example)", HTTPS],
  ["https://a.example:443/x", "GET /x (Host: a.example)", HTTPS],
  [`-I ${U}/x`, `HEAD /x ${L}`],
  [`-XPUT ${U}/x`, `PUT /x ${L}`],
  [`-sSiv -X DELETE ${U}/x`, `DELETE /x ${L}`],
  [`-sXPURGE --silent --show-error --include --verbose ${U}/x`, `PURGE /x ${L}`],
  [`--request PATCH -d a=1 ${U}/x -d b=2`, `PATCH /x ${L} ${FORM} a=1&b=2`],
  [`-X GET --data-raw '@a' ${U}/x`, `GET /x ${L} ${FORM} @a`],
  [`-d @f -d x --data-binary @g ${U}`, `POST / ${L} ${FORM} <-f>&x&<g>`],
  [`-d @- ${U}`, `POST / ${L} ${FORM} <-->`],
  [
    `--json '{"a":1}' ${U}`,
    `POST / ${L} (Accept: application/json) (Content-Type: application/json) {"a":1}`,
  ],
  [`--json [ --json 1] ${U} -H accept:x`, `POST / (accept: x) ${L} (Content-Type: application/json) [1]`],
  [`-d '{}' -H 'content-type: application/json' ${U}`, `POST / (content-type: application/json) ${L} {}`],
  [`-d x -H Content-Type: ${U}`, `POST / (Content-Type:) ${L} x`],
  [`-H 'Host: b' -H 'X;' -H 'Accept:' -H 'Y:  a: b ' ${U}`, "GET / (Host: b) (X;) (Accept:) (Y: a: b)"],
  [
    `-A me -e there -b a=1 -b b=2 --compressed ${U}`,
    `GET / ${L} (User-Agent: me) (Referer: there) (Cookie: a=1; b=2) ` +
    "(Accept-Encoding: deflate, gzip, br, zstd)",
  ],
  [`-u Aladdin:'open sesame' ${U}`, `GET / ${L} (Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==)`],
  [`a%40b:c@${U}`, `GET / ${L} (Authorization: Basic YUBiOmM=)`],
  [`kim@${U}`, `GET / ${L} (Authorization: Basic a2ltOg==)`],
  [`-A '' ${U}`, `GET / ${L} (User-Agent:)`],
  [`-L ${U}`, `GET / ${L} follows`],
  [`-k ${U}`, `GET / ${L}`],
  ["--http1.1 --cacert ca.pem https://a.example/", "GET / (Host: a.example)", HTTPS],
  ["--insecure https://a.example/", "wrong: in the place of -k: --cacert FILE trusts a certificate", HTTPS],
  [`${U}/a/../b/./c?d/../e`, `GET /b/c?d/../e ${L}`],
  [`--path-as-is ${U}/a/../b`, `GET /a/../b ${L}`],
  [`-g '${U}/a?b[]=1'`, `GET /a?b[]=1 ${L}`],
  [`'${U}/a?b[]=1'`, "wrong: curl takes [ in a URL for a list of them: add --globoff"],
  [`-H 'Content-Length: 3' -d a=1 ${U}`, `POST / ${L} ${FORM} a=1`],
  [`-H 'Content-Length: 4' -d a=1 ${U}`, `POST / (Content-Length: 4) ${L} ${FORM} a=1`],
  ["http://a.b:81/c", "wrong: this is for another server: paste it at: wiretable connect http://a.b:81"],
  ["localhost:9998/c", "wrong: this is for another server: paste it at: wiretable connect http://localhost:9998"],
  [
    "https://localhost:9999/c",
    "wrong: this is for another server: paste it at: wiretable connect https://localhost:9999",
  ],
  ["-s", "wrong: curl takes one URL here, saw 0"],
  [`${U} ${U}`, "wrong: curl takes one URL here, saw 2"],
  [`-o x ${U}`, "wrong: -o of curl is not read here, and nothing is sent"],
  [`-sF a=b ${U}`, "wrong: -F of curl is not read here, and nothing is sent"],
  [`--proxy p ${U}`, "wrong: --proxy of curl is not read here, and nothing is sent"],
  [`--request=PUT ${U}`, "wrong: --request=PUT of curl is not read here, and nothing is sent"],
  [`--constructor ${U}`, "wrong: --constructor of curl is not read here, and nothing is sent"],
  [`${U} -X`, "wrong: -X of curl needs a value"],
  [`-u kim ${U}`, "wrong: -u takes USER:PASS"],
  [`-b jar ${U}`, "wrong: -b takes NAME=VALUE here, and no file"],
  [`-H @file ${U}`, `wrong: -H takes 'Name: value'`],
  [`-I -d x ${U}`, "wrong: curl takes either -I or data"],
  ["ftp://a/b", 'wrong: "ftp://a/b" is not an http:// or https:// URL'],
  [`${U} | jq`, "wrong: | is for a shell, and there is none here: leave it out, or quote it"],
  [`-d "$(cat x)" ${U}`, "wrong: $( is for a shell, and there is none here: use single quotes"],
  // As Chromium and Firefox write them.
  [
    `'http://${U}/api' \\\n  -H 'Accept: */*' \\\n  -H 'Connection: keep-alive' \\\n  -b 'id=1' \\\n  ` +
    `--data-raw $'{"a":"it\\'s\\n\\u0021"}' \\\n  --compressed \\\n  --insecure`,
    `POST /api (Accept: */*) (Connection: keep-alive) ${L} (Cookie: id=1) (Accept-Encoding: deflate, gzip, br, zstd) ` +
    `${FORM} {"a":"it's\n!"}`,
  ],
  [
    `'http://${U}/api' --compressed -X POST -H 'Content-Type: application/json' --data-raw $'{"a":"\\xe9\\x95\\xbf \\ud83d\\udc0c\\041"}'`,
    `POST /api (Content-Type: application/json) ${L} (Accept-Encoding: deflate, gzip, br, zstd) {"a":"長 🐌!"}`.replace(
      "長",
      "\u957f",
    ),
  ],
  [`-d $'\\xe9' ${U}`, "wrong: the octets of a $'…' are not UTF-8: put them in a file, and type --data-binary @FILE"],
  [`^"http://${U}/^" ^`, "wrong: this line is for cmd: copy it as cURL (bash)"],
];

for (const [line, expected, server = HTTP] of lines) {
  Deno.test(`curl ${line}`, () => assert.equal(shown(line, server), expected));
}

const words: [line: string, words: string[] | undefined | string][] = [
  ["a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]],
  ["a'b'\"c\"$'d\\t' ''", ["abcd\t", ""]],
  ['"\\"\\\\\\$\\`\\x" \'\\\'', ['"\\$`\\x', "\\"]],
  ["a \\\n b\\\r\nc", ["a", "bc"]],
  ["'a\nb' c\nd", ["a\nb", "c", "d"]],
  ["$ 5$ a#b {x} *", ["$", "5$", "a#b", "{x}", "*"]],
  ["$'\\a\\b\\e\\f\\r\\v\\\\\\q\\x4\\7'", ["\x07\b\x1b\f\r\v\\\\q\x04\x07"]],
  ["'a", undefined],
  ['"a\\"', undefined],
  ["$'a\\'", undefined],
  ["a \\", undefined],
  ...["a;b", "a&b", "a>b", "a<b", "(a)", "`a`", "$(a)", "$NAME", "${a}", "$1", '"$NAME"', '"`a`"', '$"a"'].map((line): [
    string,
    string,
  ] => [line, "wrong"]),
];

for (const [line, expected] of words) {
  Deno.test(`the words of ${JSON.stringify(line)}`, () => {
    if (expected === "wrong") assert.throws(() => shellWords(line), WrongInput);
    else assert.deepEqual(shellWords(line), expected);
  });
}

const printed: [request: HttpRequest, data?: string][] = [
  [{ method: "GET", target: "/a/../b?x=[1]&y", fields: [["Host", "h"], ["X", ""], ["Accept", "*/*"]] }],
  [{ method: "HEAD", target: "/it's", fields: [["X", "a 'b' \\ $c `d` \"e\" !"]] }],
  [{ method: "PURGE", target: "/", fields: [], content: octets("a='\\\n\t{}") }, "a='\\\n\t{}"],
  [{ method: "POST", target: "/x", fields: [["Content-Type", "a/b"]], content: octets("핑 @f") }, "핑 @f"],
];

for (const [request, data = ""] of printed) {
  Deno.test(`the command of curl for ${request.method} ${request.target} is read as that request`, () => {
    const line = curlCommand(request, HTTP.endpoint).slice("curl ".length);
    const read = readCurl(line, HTTP);
    assert.deepEqual([read.method, read.target, shownData(read.data).trimStart()], [
      request.method,
      request.target,
      data,
    ]);
    // What this program does not send, curl is told not to add.
    const sent = read.fields.map(textOfField).filter((text) => !text.endsWith(":"));
    assert.deepEqual(sent, request.fields.map(([name, value]) => value === "" ? `${name};` : `${name}: ${value}`));
  });
}

function octets(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
