import assert from "node:assert/strict";
import { octetsToText } from "../../lib/bytes.ts";
import type { TableWords } from "../../lib/client/items.ts";
import { type Handler, startServer } from "../support.ts";
import { MAX_CURL_LINES, MAX_LINE_CHARACTERS } from "../../lib/limits.ts";
import { octetString } from "../wire_cases.ts";
import { run, runLines, tableServer, typed } from "./repl_support.ts";
import { PLAIN } from "./command_support.ts";

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

Deno.test("a field that is kept is listed as it was typed", async () => {
  await using server = startServer(() => ({ status: 200 }));
  const { shown } = await run(server.port, "header X-A: é 🐌\nheader\n");
  assert.equal(octetsToText(shown), "X-A: é 🐌\n");
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
  const note = "(credentials are left out; --show-credentials shows them)\n";
  const prompt = { print: "", interactive: true } as const;
  assert((await run(server.port, input, prompt)).shown.includes(note));
  assert(!(await run(server.port, "get a\ncurl\n", prompt)).shown.includes(note));
  const others =
    `get //u:secret@a "X-Api-Key":k X-Auth-Token:"it's" WWW-Authenticate:Basic Sec-WebSocket-Key:x\ncurl\n`;
  assert.match(
    (await run(server.port, others, { print: "" })).shown,
    /'X-Api-Key: \(1 octet\)' --header 'X-Auth-Token: \(4 octets\)' --header 'WWW-Authenticate: Basic' --header 'Sec-WebSocket-Key: x' .*\/\/u:\(6 octets\)@a'\n$/,
  );
  const content = await run(server.port, "post / a='Cookie: a' Content-Type:text/plain\ncurl\n", {
    print: "",
    table: { ...PLAIN, fields: [{ name: "a", type: "scalar" }] },
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
    table: tableAt(port),
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
  const table = tableAt(server.port);
  for (const [data, shown] of [["--data-binary @f", "@f"], ["-d @f", "f"], ["-d @f -d @f", "'f&f'"]]) {
    const output = await run(server.port, `curl ${data} localhost:${server.port}/a\ncurl`, { table });
    assert.match(output.shown, new RegExp(`--data-binary ${shown} http:`));
  }
});

/** The words of the table at a port, whose URLs are its own. */
function tableAt(port: number): TableWords {
  return { ...PLAIN, server: { ...PLAIN.server, endpoint: { secure: false, host: "127.0.0.1", port } } };
}

Deno.test("lines are joined while a command goes on, to the end of the input at most, and within limits", async () => {
  await using server = startServer(({ target }) => ({ status: 200, content: target }));
  const { port } = server;
  const url = `localhost:${port}`;
  const table = tableAt(port);
  const joined = async (...lines: string[]) => {
    const { shown, told } = await run(port, lines.join("\n"), { table });
    return shown + told;
  };
  assert.equal(await joined("curl \\", `${url}/a \\`, "-s", "get /b"), "/a\n/b\n");
  assert.match(await joined(`curl ${url} -d '`), /^line 2: Wrong Input: try again \(the line of curl goes on: /);
  assert.match(
    await joined(...Array(MAX_CURL_LINES + 1).fill("curl \\")),
    /^line 1001: Wrong Input: try again \(a command of curl has at most 1000 lines: is a quote open\?\)\n/,
  );
  assert.match(
    await joined(`curl ${url} -d '${"x".repeat(MAX_LINE_CHARACTERS - 100)}`, "x".repeat(200), "'"),
    /^line 2: Wrong Input: try again \(a command has at most 1048576 characters\)\n/,
  );
});
