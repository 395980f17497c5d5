import assert from "node:assert/strict";
import { Session } from "../../lib/client.ts";
import { shellWord } from "../../lib/client/command.ts";
import { pipedInput } from "../../lib/client/line_input.ts";
import { type ReplOptions, runCommand, runCommands } from "../../lib/client/repl.ts";
import { FILTER_OPERATORS } from "../../lib/table/query.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { Table } from "../../lib/table.ts";
import { painterFor } from "../../lib/terminal.ts";
import { startServer, type TestServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";

const SCHEMA = RowSchema.parse("type,age,leg");

function tableServer(): TestServer {
  const table = new Table(new MemoryStore(0), { schema: SCHEMA });
  return startServer((request, content) => table.answer(request, content), { now: () => 784111777_000 });
}

interface Outcome {
  /** What was shown, one character an octet. */
  shown: string;
  /** What was told beside it. */
  told: string;
  code: number;
}

/** Runs lines of input, or one command, against a server. */
async function run(
  port: number,
  input: string,
  options: Partial<ReplOptions> & { words?: string[] } = {},
): Promise<Outcome> {
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const outcome = { shown: "", told: "", code: 0 };
  const repl: ReplOptions = {
    session,
    screen: {
      terminal: options.interactive === true,
      write(bytes) {
        outcome.shown += octetString(bytes);
        return Promise.resolve();
      },
      tell(line) {
        if (options.interactive) outcome.shown += `${line}\n`;
        else outcome.told += `${line}\n`;
        return Promise.resolve();
      },
    },
    print: options.interactive ? "hb" : "b",
    interactive: false,
    painter: painterFor(false),
    table: { fields: SCHEMA.fields, filterOperators: FILTER_OPERATORS },
    defaults: [["Host", "h"]],
    ...options,
  };
  const lines = pipedInput(ReadableStream.from([new TextEncoder().encode(input)]));
  outcome.code = options.words === undefined
    ? await runCommands(lines, repl)
    : await runCommand(options.words.map(shellWord), lines, repl);
  lines.close();
  session.close();
  return outcome;
}

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
Wrong Input: try again ("grab" is not a command: use get, head, post, put, patch, delete, options, help, q)
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

Deno.test("piped commands show their answers' content and nothing else, a line for each", async () => {
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

Deno.test("one command may take its values from the input", async () => {
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

Deno.test("what is shown can be chosen", async () => {
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

Deno.test("content is written exactly where it is piped, and escaped at a terminal", async () => {
  await using server = startServer(() => ({ status: 200, content: "\x1b[2J\xff\r\n" }));
  const words = ["get", "/"];
  assert.equal((await run(server.port, "", { words })).shown, "\x1b[2J\xc3\xbf\r\n");
  const safe = await run(server.port, "", { words, interactive: true, print: "b" });
  assert.equal(safe.shown, "-----RESPONSE-----\n\\x1b[2J\xc3\xbf\n");
});

Deno.test("trailers are shown with the heads", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n";
    await conn.write(new TextEncoder().encode(answer));
    conn.close();
  })();
  const { shown } = await run((listener.addr as Deno.NetAddr).port, "", { words: ["get", "/"], print: "hb" });
  assert.equal(shown, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\nX-Sum: 1\r\n");
  await serving;
  listener.close();
});

Deno.test("at a prompt a failure is told and the session goes on; from a pipe it ends", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const prompt = await run(port, "get all\nget all\n", { interactive: true });
  assert.equal(prompt.shown.split("connection refused").length, 3);
  assert.equal(prompt.code, 0);
  const piped = await run(port, "get all\nget all\n");
  assert.equal(piped.told, `Cannot connect to 127.0.0.1:${port}: connection refused (is a server running there?)\n`);
  assert.equal(piped.code, 1);
});

Deno.test("help names every command", async () => {
  await using server = tableServer();
  const { shown } = await run(server.port, "help\n", { interactive: true });
  for (const command of ["get", "head", "post", "put", "patch", "delete", "options", "help", "q"]) {
    assert.match(shown, new RegExp(`\\b${command}\\b`));
  }
});
