import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Line } from "../../lib/client/line_input.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { SeenNames } from "../../lib/client/help.ts";
import { Table } from "../../lib/table.ts";
import { startServer, type TestServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { PLAIN } from "./command_support.ts";
import { run, runLines, tableServer, typed } from "./repl_support.ts";
import { sessionWith } from "./scripted_server.ts";

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
  const session = sessionWith(server.port);
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
  const table = { ...PLAIN, areGuessed: true };
  const { told } = await run(server.port, "put A 1\noptions all\nput A 1\n", { readFields, table });
  const wrong = "Wrong Input: try again (expected 3 values, [type] [age] [leg], saw 1";
  assert.equal(told, `line 1: ${wrong}; options all asks the server for its fields)\nline 3: ${wrong})\n`);
});

Deno.test("fields that the user named are kept, and what is no list of fields teaches nothing", async () => {
  await using server = otherServer("title,score:integer");
  assert.equal((await run(server.port, "options all\nput A x 1 0\n")).told, "");
  // The last list is not UTF-8.
  const foreign = ['["title"]', '"title,title"', '{"title":"x"}', "1", '""', '"t\xedtle"'];
  for (const [fields, type] of [...foreign.map((fields) => [fields, "problem+json"]), ['"title"', "json"]]) {
    await using other = startServer(() => ({
      status: 422,
      contentType: `application/${type}`,
      content: Buffer.from(`{"fields":${fields}}`, "latin1"),
    }));
    assert.equal((await run(other.port, "put A x 1 0\nput A x 1 0\n", { readFields })).told, "");
  }
});

Deno.test("the fields in any problem document are learned, whatever parameters its type has", async () => {
  const contentType = "Application/Problem+JSON ; charset=utf-8";
  await using server = startServer(() => ({ status: 422, contentType, content: '{"fields":"title,score:integer"}' }));
  assert.equal((await run(server.port, "put A x 1 0\n", { readFields })).told, LEARNED);
});

Deno.test("fields in other scripts are learned, and shown safely", async () => {
  await using server = otherServer("제목,a%\x9b:integer");
  const { told } = await run(server.port, "options all\n", { readFields });
  assert.equal(told, "(the server says what a row has: [제목] [a%\\x9b:integer])\n");
});
