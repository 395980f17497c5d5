import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { freePort, startServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { LOCAL_COMMANDS, METHODS } from "../../lib/client/command.ts";
import { run, tableServer } from "./repl_support.ts";

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
  const port = freePort();
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
  for (const line of all.split("\n")) assert(Buffer.from(line, "latin1").toString().length <= 60, line);
  for (const command of [...METHODS, ...LOCAL_COMMANDS]) assert.match(all, new RegExp(`\\b${command}\\b`));
  assert(!(await help("help get")).includes("put"));
  assert.match((await run(server.port, "help brew")).told, /there is no help on "brew": see help all/);
});
