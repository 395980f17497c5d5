import assert from "node:assert/strict";
import { Session } from "../../lib/client.ts";
import { parseArguments, parseLine } from "../../lib/client/command.ts";
import type { RawView } from "../../lib/client/raw.ts";
import { WrongInput } from "../../lib/client/words.ts";
import { type Line, pipedInput } from "../../lib/client/line_input.ts";
import { type ReplOptions, runCommand, runCommands } from "../../lib/client/repl.ts";
import { FILTER_OPERATORS } from "../../lib/table/query.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { SeenNames } from "../../lib/client/completion.ts";
import { Table } from "../../lib/table.ts";
import { painterFor } from "../../lib/terminal.ts";
import { type Handler, startServer, type TestServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";

const SCHEMA = RowSchema.parse("type,age,leg");

function tableServer(): TestServer {
  const table = new Table(new MemoryStore(0), { schema: SCHEMA });
  return startServer((request, content) => table.answer(request, content), { now: () => 784111777_000 });
}

/** A view of raw exchanges that expects nothing. */
const NO_VIEW: RawView = {
  begin: () => {},
  sent: () => {},
  expects: "nothing",
  end: () => ({ status: undefined, valid: true }),
};

interface Outcome {
  /** The output, one character per octet. */
  shown: string;
  /** The lines printed beside the output. */
  told: string;
  code: number;
}

/** Runs lines of input, or one command, against a server. */
async function run(
  port: number,
  input: string | Uint8Array<ArrayBuffer>,
  options: Partial<ReplOptions> & { words?: string[] } = {},
): Promise<Outcome> {
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const outcome = { shown: "", told: "", code: 0 };
  const endpoint = { secure: false, host: "127.0.0.1", port };
  const repl: ReplOptions = {
    endpoint,
    session,
    sessionWith: (other) => new Session(other, { timeoutMs: 10_000 }),
    readContent: (name) => Promise.resolve(new TextEncoder().encode(name)),
    screen: {
      terminal: options.interactive === true,
      columns: () => 80,
      write(bytes) {
        outcome.shown += octetString(bytes);
        return Promise.resolve();
      },
      flush: () => Promise.resolve(),
      tell(line) {
        if (options.interactive) outcome.shown += `${line}\n`;
        else outcome.told += `${line}\n`;
        return Promise.resolve();
      },
    },
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    interactive: false,
    painter: painterFor(false),
    raw: NO_VIEW,
    table: { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    defaults: [["Host", "h"]],
    ...options,
  };
  const lines = pipedInput(new Blob([input]).stream());
  const { words } = options;
  outcome.code = words === undefined
    ? await runCommands(lines, repl)
    : await runCommand(() => parseArguments(words, repl.table), lines, repl);
  lines.close();
  session.close();
  return outcome;
}

Deno.test("a line that is not UTF-8 is refused, and nothing of it is sent", async () => {
  const seen: string[] = [];
  await using server = startServer((request) => {
    seen.push(`${request.method} ${request.target}`);
    return Promise.resolve({ status: 204, fields: [] });
  });
  const lines = [
    ...["post Kim \xb4\xde 1 0", "post \xb4 {}", "get /\xff", "header X: \xe9", 'raw "\xb4"', "get a X:\xe9"],
    ...["post Asked", "\xb4\xde 1 0", "\xb4", "get all"],
  ];
  const octets = Uint8Array.from(lines.join("\n"), (octet) => octet.charCodeAt(0));
  const { told, code } = await run(server.port, octets);
  assert.equal(
    told,
    [1, 2, 3, 4, 5, 6, 8, 9].map((line) =>
      `line ${line}: Wrong Input: try again (not UTF-8: chcp 65001, or save the file as UTF-8)\n`
    ).join(""),
  );
  assert.deepEqual(seen, ["GET /"]);
  assert.equal(code, 1);
});

Deno.test("a byte order mark of a file is left out of JSON only", async () => {
  const seen: string[] = [];
  await using server = startServer((_request, content) => {
    seen.push(octetString(content));
    return Promise.resolve({ status: 204, fields: [] });
  });
  const readContent = (name: string) =>
    Promise.resolve(Uint8Array.of(0xef, 0xbb, 0xbf, ...new TextEncoder().encode(name)));
  const input = [
    "put A @{}",
    "put A @{} Content-Type:application/merge-patch+json",
    "put A @a Content-Type:text/plain",
  ];
  await run(server.port, input.join("\n"), { readContent });
  assert.deepEqual(seen, ["{}", "{}", "\xef\xbb\xbfa"]);
  const { shown } = await run(server.port, "put A @{}\ncurl", { readContent });
  assert.match(shown, /--data-binary '\{\}' /);
});

Deno.test("the classroom's session, word for word", async () => {
  await using server = tableServer();
  const input = [
    "get all",
    "post Pingping",
    "snail 1 0",
    "get Pingping",
    "head Pingping",
    "grab it",
    "PUT Pingping slug 2 0",
    "q",
    "get all",
  ];
  const { shown, code } = await run(server.port, input.join("\n"), { interactive: true });
  const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
  const row = (type: string, age: number) => `{"Pingping":{"type":"${type}","age":"${age}","leg":"0"}}`;
  assert.equal(code, 0);
  assert.equal(
    shown,
    `\
Enter: [method] [objectName]
-----RESPONSE-----
HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 2
${date}
ETag: "0"
X-Total-Count: 0
Vary: Accept

{}
Enter: [method] [objectName]
Enter information: [type] [age] [leg]
-----RESPONSE-----
HTTP/1.1 201 Created
Content-Type: application/json
Content-Length: 49
${date}
Location: /Pingping
ETag: "1"

${row("snail", 1)}
Enter: [method] [objectName]
-----RESPONSE-----
HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 49
${date}
ETag: "1"

${row("snail", 1)}
Enter: [method] [objectName]
-----RESPONSE-----
HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 49
${date}
ETag: "1"

Enter: [method] [objectName]
Wrong Input: try again ("grab" is not a command: use get, head, post, put, patch, delete, options, print, header, auth, follow, curl, explain, raw, help, q)
Enter: [method] [objectName]
-----RESPONSE-----
HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 48
${date}
ETag: "2"

${row("slug", 2)}
Enter: [method] [objectName]
`,
  );
});

Deno.test("piped commands show only the content of responses, one line for each", async () => {
  await using server = tableServer();
  const { shown, told, code } = await run(server.port, "post a\nx 1 0\n\nget a\r\ndelete a\nget all\n");
  const row = '{"a":{"type":"x","age":"1","leg":"0"}}';
  assert.equal(shown, `${row}\n${row}\n{}\n`);
  assert.equal(told, "");
  assert.equal(code, 0);
});

const codes: [input: string, code: number][] = [
  ["", 0],
  ["get all", 0],
  ["get Nobody", 4],
  ["get Nobody\nget all", 4],
  ["get /%zz\nput / a=b", 4],
  ["brew tea\nget all", 1],
  ["get Nobody\nbrew tea\nget Nobody", 1],
  ["q\nget Nobody", 0],
];

for (const [input, code] of codes) {
  Deno.test(`the exit code of ${JSON.stringify(input)} is ${code}`, async () => {
    await using server = tableServer();
    assert.equal((await run(server.port, input)).code, code);
  });
}

Deno.test("a server error is worse than a client's", async () => {
  await using server = startServer(({ path }) => ({ status: path === "/a" ? 503 : 404 }));
  assert.equal((await run(server.port, "get b\nget a\nget b")).code, 5);
  assert.equal((await run(server.port, "", { words: ["get", "a"] })).code, 5);
  assert.equal((await run(server.port, "", { words: ["get", "b"] })).code, 4);
});

Deno.test("a single command may read its values from the input", async () => {
  await using server = tableServer();
  const { shown, code } = await run(server.port, "snail 1 0\nget all\n", { words: ["post", "Pingping"] });
  assert.deepEqual([shown, code], ['{"Pingping":{"type":"snail","age":"1","leg":"0"}}', 0]);
  const without = await run(server.port, "", { words: ["post", "Woo"] });
  assert.deepEqual([without.shown, without.told, without.code], [
    "",
    "Wrong Input: try again (expected [type] [age] [leg], saw nothing)\n",
    1,
  ]);
});

Deno.test("the shown parts can be chosen", async () => {
  await using server = tableServer();
  const show = async (print: string) =>
    (await run(server.port, "", { words: ["put", "a", "x", "1", "0"], print })).shown;
  const row = '{"a":{"type":"x","age":"1","leg":"0"}}';
  const request = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n";
  assert.match(await show("h"), /^HTTP\/1\.1 201 Created\r\nContent-Type.*\r\n\r\n$/s);
  assert.equal(await show("b"), row);
  assert.equal(await show("H"), request);
  assert.equal(await show("B"), row);
  assert.match(await show("HBhb"), /^PUT \/a.*\r\n\r\n\{.*\}\nHTTP\/1\.1 200 OK\r\n.*\r\n\r\n\{.*\}$/s);
  assert.equal(await show(""), "");
});

Deno.test("content is exact when piped, and escaped on a terminal", async () => {
  await using server = startServer(() => ({ status: 200, content: "\x1b[2J\xff\r\n" }));
  const words = ["get", "/"];
  assert.equal((await run(server.port, "", { words })).shown, "\x1b[2J\xc3\xbf\r\n");
  const safe = await run(server.port, "", { words, interactive: true, print: "b" });
  assert.equal(safe.shown, "-----RESPONSE-----\n\\x1b[2J\xc3\xbf\n");
});

Deno.test("trailers are separated from the content, and labelled", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n";
    await conn.write(new TextEncoder().encode(answer));
    conn.close();
  })();
  const { shown } = await run((listener.addr as Deno.NetAddr).port, "", { words: ["get", "/"], print: "hb" });
  assert.equal(shown, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\n-----TRAILERS-----\nX-Sum: 1\r\n");
  await serving;
  listener.close();
});

Deno.test("a line of a script that starts with # is a comment, but not one that answers a question", async () => {
  const seen: string[] = [];
  await using server = startServer(({ method, target }, content) => {
    seen.push(`${method} ${target} ${octetString(content)}`);
    return { status: 204 };
  });
  const script = "# one\n  \t# two\nput /x color=#fff\npost C#\n#a 1 2\nget #\n#q\n#";
  const { told, code } = await run(server.port, script);
  assert.deepEqual([told, code], ["", 0]);
  assert.deepEqual(seen, [
    'PUT /x {"color":"#fff"}',
    'POST /C%23 {"C#":{"type":"#a","age":"1","leg":"2"}}',
    "GET /%23 ",
  ]);
  const prompt = await run(server.port, "# one\n", { interactive: true });
  assert.match(prompt.shown, /"#" is not a command/);
});

Deno.test("after a failure a prompt goes on, and piped commands end", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const prompt = await run(port, "get all\nget all\n", { interactive: true });
  assert.equal(prompt.shown.split("connection refused").length, 3);
  assert.equal(prompt.code, 0);
  const piped = await run(port, "get all\nget all\n");
  assert.equal(
    piped.told,
    `line 1: Cannot connect to 127.0.0.1:${port}: connection refused (is a server running there?)\n`,
  );
  assert.equal(piped.code, 1);
});

Deno.test("help names every command", async () => {
  await using server = tableServer();
  const { shown } = await run(server.port, "help all\n", { interactive: true });
  for (
    const command of [
      "get",
      "head",
      "post",
      "put",
      "patch",
      "delete",
      "options",
      "print",
      "header",
      "auth",
      "follow",
      "curl",
      "help",
      "q",
    ]
  ) {
    assert.match(shown, new RegExp(`\\b${command}\\b`));
  }
});

Deno.test("the shown parts can be changed at the prompt", async () => {
  await using server = tableServer();
  const input = "put a x 1 0\nprint HBhb\nget a Authorization:'Bearer s3cret'\nprint b\nget a\nprint\n";
  const { shown } = await run(server.port, input, { interactive: true });
  const row = '{"a":{"type":"x","age":"1","leg":"0"}}';
  assert.match(
    shown,
    /-----REQUEST-----\nGET \/a HTTP\/1\.1\nHost: h\nAuthorization: Bearer \(6 octets\)\n\n-----RESPONSE-----\n/,
  );
  assert(
    shown.endsWith(
      `-----RESPONSE-----\n${row}\nEnter: [method] [objectName]\n(shown: b)\nEnter: [method] [objectName]\n`,
    ),
    shown,
  );
});

Deno.test("a response that has only a head is shown as a head, even when piped", async () => {
  await using server = tableServer();
  const { shown } = await run(server.port, "head all\noptions all\nget all");
  assert.match(
    shown,
    /^HTTP\/1\.1 200 OK\r\n[^]+?\r\n\r\nHTTP\/1\.1 204 No Content\r\n[^]+?Allow: [^]+?\r\n\r\n\{\}\n$/,
  );
  assert.equal((await run(server.port, "", { words: ["head", "all"], print: "b" })).shown, "");
});

Deno.test("credentials are shown as their length, unless requested", async () => {
  const fields = [["Set-Cookie", "id=s3cret; Path=/"], ["X-A", "b"]] as [string, string][];
  await using server = startServer(() => ({ status: 200, fields }));
  const words = ["get", "/", "Cookie:id=1234", "Proxy-Authorization:Basic YTpi"];
  const { shown } = await run(server.port, "", { words, print: "Hh" });
  assert.match(shown, /^Cookie: \(7 octets\)\r$/m);
  assert.match(shown, /^Proxy-Authorization: Basic \(4 octets\)\r$/m);
  assert.match(shown, /^Set-Cookie: \(17 octets\)\r$/m);
  assert.match(shown, /^X-A: b\r$/m);
  const open = await run(server.port, "", { words, print: "Hh", showCredentials: true });
  assert.match(open.shown, /^Set-Cookie: id=s3cret; Path=\/\r$/m);
});

/** Runs a prompt with these lines; Ctrl-C may take the place of a line. */
async function runLines(port: number, lines: Line[], options: Partial<ReplOptions> = {}): Promise<Outcome> {
  const outcome = { shown: "", told: "", code: 0 };
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const input = {
    next: () => Promise.resolve(lines.shift() ?? { kind: "end" as const }),
    notify: () => {},
    close: () => {},
  };
  const endpoint = { secure: false, host: "127.0.0.1", port };
  outcome.code = await runCommands(input, {
    endpoint,
    session,
    sessionWith: (other) => new Session(other, { timeoutMs: 10_000 }),
    readContent: () => Promise.reject(new WrongInput("no files here")),
    screen: {
      terminal: true,
      columns: () => 80,
      write: (bytes) => Promise.resolve(void (outcome.shown += octetString(bytes))),
      flush: () => Promise.resolve(),
      tell: (line) => Promise.resolve(void (outcome.told += `${line}\n`)),
    },
    print: undefined,
    pretty: "auto",
    showCredentials: false,
    interactive: true,
    painter: painterFor(false),
    raw: NO_VIEW,
    table: { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    defaults: [["Host", "h"]],
    ...options,
  });
  session.close();
  return outcome;
}

const typed = (text: string): Line => ({ kind: "line", text });
const HALF: Line = { kind: "cancelled", wasEmpty: false };
const EMPTY: Line = { kind: "cancelled", wasEmpty: true };
const ASKED = "Enter: [method] [objectName]\n";
const HINT = "(q, Ctrl-D, or Ctrl-C once more quits)\n";

Deno.test("Ctrl-C at an empty prompt says how to quit, and a second one in a row quits", async () => {
  await using server = tableServer();
  assert.deepEqual(await runLines(server.port, [EMPTY, EMPTY]), { shown: "", told: ASKED + HINT + ASKED, code: 130 });
  const mixed = await runLines(server.port, [EMPTY, HALF, EMPTY, typed(""), EMPTY]);
  assert.deepEqual(mixed, {
    shown: "",
    told: [ASKED, HINT, ASKED, ASKED, HINT, ASKED, ASKED, HINT, ASKED].join(""),
    code: 0,
  });
});

Deno.test("post without a name asks for the values, and the server names the row", async () => {
  await using server = tableServer();
  const { shown, code } = await run(server.port, "post\nsnail 1 0\npost\ntype=dog age=2 leg=4", { interactive: true });
  assert.equal(code, 0);
  assert.equal(shown.split("Enter information: [type] [age] [leg]\n").length, 3);
  assert.match(shown, /Location: \/r1\n[^]*\{"r1":\{"type":"snail","age":"1","leg":"0"\}\}/);
  assert.match(shown, /Location: \/r2\n[^]*\{"r2":\{"type":"dog","age":"2","leg":"4"\}\}/);
});

Deno.test("Ctrl-C cancels a question for values", async () => {
  await using server = tableServer();
  const { shown, told, code } = await runLines(server.port, [typed("post a"), HALF, typed("post a"), EMPTY]);
  const question = "Enter information: [type] [age] [leg]\n";
  assert.deepEqual([shown, told, code], ["", ASKED + question + ASKED + question + ASKED, 0]);
});

Deno.test("Ctrl-C cancels a transfer and reports that its connection is closed", async () => {
  await using server = startServer(({ target }) => {
    if (target === "/ok") return { status: 200, content: "ok" };
    assert(session.cancel());
    return new Promise(() => {});
  }, { limits: { shutdownMs: 1 } });
  const session = new Session({ secure: false, host: "127.0.0.1", port: server.port }, { timeoutMs: 10_000 });
  assert.equal(session.cancel(), false);
  const { shown, told, code } = await runLines(server.port, [typed("get /slow"), typed("get /ok")], {
    session,
    print: "b",
  });
  assert.equal(
    told,
    `${ASKED}Cancelled; the connection is closed, and what the server did with the request is not known\n${ASKED}${ASKED}`,
  );
  assert.equal(shown, "-----RESPONSE-----\nok\n");
  assert.equal(code, 0);
});

Deno.test("a field is kept for the session, listed, and dropped", async () => {
  await using server = startServer(({ fields }) => ({
    status: 200,
    content: `${fields.get("x-a")} ${fields.get("authorization")}`,
  }));
  const input =
    "header X-A: 1\nget /\nauth a:b\nget / X-A:2\nheader\nheader -x-a\nauth -\nheader\nget /\nheader -X-A\n";
  const { shown, told } = await run(server.port, input);
  assert.equal(
    shown,
    "1 undefined\n2 Basic YTpi\nX-A: 1\nAuthorization: Basic (4 octets)\n(none)\nundefined undefined\n",
  );
  assert.equal(told, 'line 10: Wrong Input: try again (no header "X-A" is set for later requests)\n');
});

Deno.test("TRACE, which sends all back, has no credentials", async () => {
  await using server = startServer(({ text }) => ({ status: 200, content: text }));
  const input = "auth a:b\nheader Cookie: c\nheader X-A: 1\nTRACE / X-Api-Key:k\nget /\n";
  const { shown } = await run(server.port, input, { print: "b" });
  const [trace, get] = shown.split("GET / ");
  assert.match(trace, /^TRACE \/ HTTP\/1\.1\r\nHost: h\r\nX-A: 1\r\n\r\n$/);
  assert.match(get, /\r\nAuthorization: Basic YTpi\r\nCookie: c\r\n/);
});

Deno.test("a Location is followed: on the same server, and with harmless fields only to another", async () => {
  const echo: Handler = ({ method, target, fields }) => ({
    status: 200,
    content: `${method} ${target} ${fields.get("host")} ${fields.get("authorization")} ${fields.get("x-a")}`,
  });
  await using other = startServer(echo);
  await using server = startServer((request, content, requester) => {
    if (request.path === "/there") return echo(request, content, requester);
    const place = request.path === "/same" ? "there?x" : `http://127.0.0.1:${other.port}/b`;
    return { status: request.method === "PUT" ? 307 : 303, fields: [["Location", place]] };
  });
  const input = `follow\nauth a:b\nheader X-A: 1\npost /same a=b\nfollow\nfollow\nput /else a=b\nfollow\nget /same\n`;
  const { shown, told } = await run(server.port, input, { print: "b" });
  assert.equal(
    shown,
    `GET /there?x 127.0.0.1:${server.port} Basic YTpi 1\nPUT /b 127.0.0.1:${other.port} undefined undefined\n`,
  );
  assert.deepEqual(told.split("\n"), [
    "line 1: Wrong Input: try again (there was no request yet)",
    "line 6: Wrong Input: try again (the last response (200) has no Location to follow)",
    "",
  ]);
});

Deno.test("the last request is shown for curl, without its credentials", async () => {
  await using server = tableServer();
  const input = "post a snail 1 0 Authorization:abcdef\ncurl\n";
  const { shown } = await run(server.port, input, { print: "" });
  assert.equal(
    shown,
    `curl --request POST --header 'Host: h' --header 'Authorization: (6 octets)' --header 'Content-Type: application/json' --header User-Agent: --header Accept: --data-binary '{"a":{"type":"snail","age":"1","leg":"0"}}' http://127.0.0.1:${server.port}/a\n`,
  );
  assert.match((await run(server.port, input, { print: "", showCredentials: true })).shown, /'Authorization: abcdef'/);
  const others =
    `get //u:secret@a "X-Api-Key":k X-Auth-Token:"it's" WWW-Authenticate:Basic Sec-WebSocket-Key:x\ncurl\n`;
  assert.match(
    (await run(server.port, others, { print: "" })).shown,
    /'X-Api-Key: \(1 octets\)' --header 'X-Auth-Token: \(4 octets\)' --header 'WWW-Authenticate: Basic' --header 'Sec-WebSocket-Key: x' .*\/\/u:\(6 octets\)@a'\n$/,
  );
  const content = await run(server.port, "post / a='Cookie: a' Content-Type:text/plain\ncurl\n", {
    print: "",
    table: { fields: [{ name: "a", type: "scalar" }], filterOperators: [] },
  });
  assert.match(content.shown, /--data-binary '\{"a":"Cookie: a"\}'/, "content is not masked");
});

Deno.test("content is read from the source in the command", async () => {
  await using server = startServer((_request, content) => ({ status: 200, content: content.slice() }));
  assert.equal((await run(server.port, "post / @some/file\n")).shown, "some/file\n");
  assert.equal((await run(server.port, "", { words: ["post", "/", "-"] })).shown, "-");
  const failed = await runLines(server.port, [typed("post / @x")]);
  assert.match(failed.told, /^Wrong Input: try again \(no files here\)$/m);
});

Deno.test("typed lines are kept if they are commands without credentials", async () => {
  await using server = tableServer();
  const kept: string[] = [];
  const keep = (line: string) => void kept.push(line);
  const input = [
    ...["get all", "grab it", "post Momo", "cat 3 4", "put Rex", "dog 10 4 X-Api-Key:k", "post Kim", "dog 1"],
    ...["header X-Auth-Token:a", "header X-A:1", "auth a:b", "get 'a", "get a \ufffd", "help", "q"],
  ];
  await run(server.port, input.join("\n"), { keep });
  assert.deepEqual(kept, ["get all", "post Momo", "cat 3 4", "put Rex", "post Kim", "header X-A:1", "help", "q"]);
});

Deno.test("names in commands and listings are completed by Tab", async () => {
  await using server = tableServer();
  const seenNames = new SeenNames();
  await run(server.port, "get Momo\npost Rex cat 3 4\nget all\nget /x\noptions *\n", { seenNames });
  assert.deepEqual(seenNames.complete("get "), [["all ", "Momo ", "Rex "], ""]);
  const later = new SeenNames();
  await run(server.port, "head all\nget /x\n", { seenNames: later });
  assert.deepEqual(later.complete("get "), [["all "], ""]);
  await run(server.port, "get all type==cat\n", { seenNames: later });
  assert.deepEqual(later.complete("get R"), [["Rex "], "R"], "names in a listing are seen too");
});

Deno.test("raw sends its octets on the session's connection, and the next request on a fresh one", async () => {
  await using server = tableServer();
  const asked: string[] = [];
  const raw: RawView = {
    ...NO_VIEW,
    begin: () => void asked.push("begin"),
    sent: (unsent) => void asked.push(`sent, but ${unsent}`),
    get expects() {
      asked.push("expects");
      return asked.filter((what) => what === "expects").length < 2 ? "response" : "nothing";
    },
    end: (outcome) => {
      asked.push(outcome);
      return { status: 404, valid: true };
    },
  };
  const ports: number[] = [];
  const session = new Session({ secure: false, host: "127.0.0.1", port: server.port }, {
    timeoutMs: 10_000,
    connected: ({ port }) => void ports.push(port),
  });
  const explained: string[] = [];
  const explain: ReplOptions["explain"] = {
    each: true,
    begin: () => void explained.push("begin"),
    end: () => void explained.push("end"),
    text: () => "explained\n",
  };
  const input = String.raw`raw "GET /Nobody HTTP/1.1\r\nHost: localhost\r\n\r\n"` + "\nhead all\n";
  const { shown, code } = await run(server.port, input, { raw, explain, session });
  assert.deepEqual(asked, ["begin", "sent, but 0", "expects", "expects", "complete"]);
  assert.deepEqual(explained, ["begin", "end", "begin"]);
  assert.match(shown, /^explained\nHTTP\/1\.1 200 OK\r\n/);
  assert.equal(code, 4, "the raw exchange's status");
  assert.equal(new Set(ports).size, 2);
});

for (
  const [result, code] of [
    [{ outcome: "timeout", status: 200, valid: true }, 2],
    [{ outcome: "ended", status: 200, valid: true }, 1],
    [{ outcome: "complete", status: 200, valid: false }, 1],
    [{ outcome: "complete", status: undefined, valid: true }, 0],
    [{ outcome: "complete", status: 500, valid: true }, 5],
    [{ outcome: "complete", status: 200, valid: true, against: true }, 3],
    [{ outcome: "complete", status: 500, valid: true, against: true }, 3],
    [{ outcome: "complete", status: 500, valid: false, against: true }, 1],
    [{ outcome: "timeout", status: 500, valid: true, against: true }, 2],
  ] as const
) {
  Deno.test(`raw that is ${JSON.stringify(result)} exits with ${code}`, async () => {
    await using server = tableServer();
    const raw: RawView = {
      ...NO_VIEW,
      get expects() {
        return "response" as const;
      },
      end: () => result,
    };
    const session = new Session({ secure: false, host: "127.0.0.1", port: server.port }, { timeoutMs: 10_000 });
    session.raw = () => Promise.resolve(result);
    assert.equal((await run(server.port, "raw fin", { raw, session })).code, code);
  });
}

const raws: [codes: number[], code: number][] = [
  [[3], 3],
  [[4, 3, 4], 3],
  [[3, 5], 3],
  [[5, 4], 5],
  [[3, 2, 5], 2],
  [[2, 1, 3], 1],
];

for (const [codes, code] of raws) {
  Deno.test(`raw exchanges of the exit codes ${codes.join(", ")} make ${code}`, async () => {
    await using server = tableServer();
    const session = new Session({ secure: false, host: "127.0.0.1", port: server.port }, { timeoutMs: 10_000 });
    const results = codes.map((each) => ({
      outcome: each === 2 ? "timeout" as const : "complete" as const,
      status: each === 5 ? 500 : 404,
      valid: each !== 1,
      against: each === 3,
    }));
    session.raw = () => Promise.resolve(results.shift()!);
    assert.equal((await run(server.port, "raw fin\n".repeat(codes.length), { session })).code, code);
  });
}

Deno.test("help raw has five examples, and each of them is a command", async () => {
  await using server = tableServer();
  const { shown } = await run(server.port, "help raw", { interactive: true });
  const examples = [...shown.matchAll(/^ {2}(raw .*)$/gm)].map(([, line]) => line);
  assert.equal(examples.length, 5);
  for (const line of examples) assert.equal(parseLine(line, { fields: undefined, filterOperators: [] }).kind, "raw");
});

Deno.test("a single command that is cancelled has the exit code 130", async () => {
  await using server = startServer(() => {
    assert(session.cancel());
    return new Promise(() => {});
  }, { limits: { shutdownMs: 1 } });
  const session = new Session({ secure: false, host: "127.0.0.1", port: server.port }, { timeoutMs: 10_000 });
  const { shown, told, code } = await run(server.port, "", { session, words: ["get", "/slow"] });
  assert.deepEqual([shown, code], ["", 130]);
  assert.match(told, /^Cancelled; /);
});

/** A server whose rows have other fields; it tells which requests it saw. */
function otherServer(fields: string, seen: string[] = []): TestServer {
  const table = new Table(new MemoryStore(0), { schema: RowSchema.parse(fields) });
  return startServer((request, content) => {
    seen.push(`${request.method} ${request.target} ${octetString(content)}`);
    return table.answer(request, content);
  });
}
const readFields = (notation: string) => RowSchema.parse(notation).fields;
const LEARNED = "(the server says what a row has: [title] [score:integer])\n";

for (const first of ["post A x 1 0", "options all", "options A"]) {
  Deno.test(`the fields of the server's rows are learned from the answer to ${first}`, async () => {
    const seen: string[] = [];
    await using server = otherServer("title,score:integer", seen);
    const input = `${first}\n${first}\nput B\nDune 7\nput C x y\n`;
    const { told } = await run(server.port, input, { readFields });
    const again = first.startsWith("post")
      ? "line 2: Wrong Input: try again (expected 2 values, [title] [score:integer], saw 3)\n"
      : "";
    assert.equal(told, `${LEARNED}${again}line 5: Wrong Input: try again (the value of score is not JSON: y)\n`);
    assert.equal(seen.at(-1), 'PUT /B {"B":{"title":"Dune","score":7}}');
  });
}

Deno.test("while fields are guessed, a wrong number of values says how to ask the server", async () => {
  await using server = otherServer("type,age,leg");
  const table = { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS, areGuessed: true };
  const { told } = await run(server.port, "put A 1\noptions all\nput A 1\n", { readFields, table });
  const wrong = "Wrong Input: try again (expected 3 values, [type] [age] [leg], saw 1";
  assert.equal(told, `line 1: ${wrong}; options all asks the server for its fields)\nline 3: ${wrong})\n`);
});

Deno.test("fields that the user named are kept, and what is no list of fields teaches nothing", async () => {
  await using server = otherServer("title,score:integer");
  assert.equal((await run(server.port, "options all\nput A x 1 0\n")).told, "");
  for (const fields of ['["title"]', '"title,title"', '{"title":"x"}', "1", '""']) {
    await using other = startServer(() => ({
      status: 422,
      fields: [["Content-Type", "application/json"]],
      content: `{"fields":${fields}}`,
    }));
    assert.equal((await run(other.port, "put A x 1 0\nput A x 1 0\n", { readFields })).told, "");
  }
});

Deno.test("fields in other scripts are learned, and shown safely", async () => {
  await using server = otherServer("제목,a%\x9b:integer");
  const { told } = await run(server.port, "options all\n", { readFields });
  assert.equal(told, "(the server says what a row has: [제목] [a%\\x9b:integer])\n");
});

Deno.test("a pasted command of curl is sent as curl would, from a script too", async () => {
  const seen: string[] = [];
  await using server = startServer((request, content) => {
    const fields = [...request.fields].map(([name, value]) => `${name}: ${value}`).join(", ");
    seen.push(`${request.method} ${request.target} (${fields}) ${octetString(content)}`);
    return { status: 204, fields: [] };
  });
  const { port } = server;
  const kept: string[] = [];
  const script = [
    `curl -X DELETE \\\n  -d 'a=1' -d @file localhost:${port}/x`,
    `curl --json '{\n"a":1}' http://[::1]:${port}/y`,
    `curl -u a:b -L -X PATCH localhost:${port}/z`,
    `curl -F a=b localhost:${port}/`,
    "header Accept: text/plain",
    `curl localhost:${port}/#f`,
    `http://127.0.0.1:${port}/a`,
  ];
  const { told, code } = await run(port, script.join("\n"), {
    table: {
      ...{ fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
      server: {
        endpoint: { secure: false, host: "127.0.0.1", port },
        commandLine: (args) => args.join(" "),
        insecureAdvice: "",
      },
    },
    readContent: (name) => Promise.resolve(new TextEncoder().encode(`${name}\r\n\0!`)),
    keep: (line) => kept.push(line),
  });
  const form = "Content-Type: application/x-www-form-urlencoded";
  assert.deepEqual(seen, [
    `DELETE /x (Host: localhost:${port}, ${form}, Content-Length: 9) a=1&file!`,
    `POST /y (Host: [::1]:${port}, Accept: application/json, Content-Type: application/json, Content-Length: 8) {\n"a":1}`,
    `PATCH /z (Host: localhost:${port}, Authorization: Basic YTpi, Content-Length: 0) `,
    `GET / (Host: localhost:${port}, Accept: text/plain) `,
    `GET /a (Host: 127.0.0.1:${port}, Accept: text/plain) `,
  ]);
  assert.equal(
    told,
    "(in the place of -L: follow requests a response's Location)\n" +
      "line 6: Wrong Input: try again (-F of curl is not read here, and nothing is sent)\n",
  );
  assert.equal(code, 1);
  // What has credentials is not kept, nor what would be another command on one line.
  assert.deepEqual(kept, [`curl -X DELETE    -d 'a=1' -d @file localhost:${port}/x`, ...script.slice(4)]);
});

Deno.test("a file that a pasted command sends as it is, is named by curl again", async () => {
  await using server = tableServer();
  const table = {
    ...{ fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    server: {
      endpoint: { secure: false, host: "127.0.0.1", port: server.port },
      commandLine: () => "",
      insecureAdvice: "",
    },
  };
  for (const [data, shown] of [["--data-binary @f", "@f"], ["-d @f", "f"], ["-d @f -d @f", "'f&f'"]]) {
    const output = await run(server.port, `curl ${data} localhost:${server.port}/a\ncurl`, { table });
    assert.match(output.shown, new RegExp(`--data-binary ${shown} http:`));
  }
});

Deno.test("help shows a few commands, or one", async () => {
  await using server = tableServer();
  const help = async (line: string) => (await run(server.port, line)).shown;
  const first = await help("help");
  for (const command of ["get", "head", "post", "put", "delete", "q", "more: help all"]) {
    assert.match(first, new RegExp(`^${command}\\b`, "m"));
  }
  assert.equal(first.split("\n").length, 8);
  const all = await help("help all");
  for (const command of ["get", "PURGE", "follow", "?", "exit"]) assert(all.includes(await help(`help ${command}`)));
  assert(!(await help("help get")).includes("put"));
  assert.match((await run(server.port, "help brew")).told, /there is no help on "brew": see help all/);
});
