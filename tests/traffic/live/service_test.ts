import assert from "node:assert/strict";
import { HttpError, type HttpResponse } from "../../../lib/http_message.ts";
import { Feed } from "../../../lib/traffic/live/feed.ts";
import { Journal } from "../../../lib/traffic/live/journal.ts";
import { PageAccess, SECURITY_FIELDS } from "../../../lib/traffic/live/access.ts";
import { type MessageRange, PageService } from "../../../lib/traffic/live/service.ts";
import { REQUESTER, requestOf, textOf } from "../../support.ts";
import { wireOctets } from "../../wire_cases.ts";

const journal = new Journal({ askTable: () => Promise.resolve({ rows: [], total: 0 }) });
const feed = new Feed(journal, { about: {}, process: "abc", gatherMs: 0 });
const asked: MessageRange[] = [];
const service = new PageService(new PageAccess(9998, "k3y"), feed, {
  message(range) {
    asked.push(range);
    return range.connection === 1 ? { rows: [] } : undefined;
  },
  find: (text) => Promise.resolve([`2 ${text.length}`]),
  command(line) {
    if (line === "help") throw new HttpError(422, "Wrong Input");
    return Promise.resolve(`did ${line}`);
  },
});

const COOKIE = "Cookie: wiretable-9998=k3y\r\n";
const ORIGIN = "Origin: http://127.0.0.1:9998\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";

async function answer(line: string, fields = "", content = ""): Promise<HttpResponse> {
  const request = requestOf(
    `${line} HTTP/1.1\r\nHost: 127.0.0.1:9998\r\nContent-Length: ${content.length}\r\n${fields}\r\n`,
  );
  try {
    service.precheck(request);
    return await service.answer(request, wireOctets(content), REQUESTER);
  } catch (error) {
    assert(error instanceof HttpError);
    return service.errorResponse(error);
  }
}

const MESSAGE = "GET /live/message?connection=1&from=0&to=9&direction=request&method=GET";
const COMMAND = "POST /live/command";
const cases: [name: string, status: number, ...Parameters<typeof answer>][] = [
  ["the page", 200, "GET /"],
  ["the page with the key", 200, "GET /?key=k3y"],
  ["the page with a wrong key", 403, "GET /?key=k3"],
  ["the style", 200, "GET /page.css"],
  ["the script", 200, "GET /page.js"],
  ["the script's head", 200, "HEAD /page.js"],
  ["nothing else", 404, "GET /favicon.ico"],
  ["nothing of an object's own", 404, "GET /constructor"],
  ["nothing written", 405, "PUT /page.js"],
  ["events without the key", 403, "GET /live/events"],
  ["a message", 200, MESSAGE, COOKIE],
  ["a message without the key", 403, MESSAGE],
  ["a message that is not kept", 404, MESSAGE.replace("=1", "=2"), COOKIE],
  ["a message without its end", 400, MESSAGE.replace("to=9", ""), COOKIE],
  ["a message that ends before it starts", 400, MESSAGE.replace("from=0", "from=10"), COOKIE],
  ["a message of no direction", 400, MESSAGE.replace("=request", "=up"), COOKIE],
  ["a text to find", 200, "GET /live/find?text=Momo", COOKIE],
  ["a text without the key", 403, "GET /live/find?text=Momo"],
  ["no text", 400, "GET /live/find?text=", COOKIE],
  ["the longest text", 200, `GET /live/find?text=${"x".repeat(200)}`, COOKIE],
  ["a text that is too long", 400, `GET /live/find?text=${"x".repeat(201)}`, COOKIE],
  ["a command", 200, COMMAND, COOKIE + ORIGIN + JSON_TYPE, '{"command":"get all"}'],
  ["a command that is none", 422, COMMAND, COOKIE + ORIGIN + JSON_TYPE, '{"command":"help"}'],
  ["a command that is not JSON", 400, COMMAND, COOKIE + ORIGIN + JSON_TYPE, "get all"],
  ["a command that is no text", 400, COMMAND, COOKIE + ORIGIN + JSON_TYPE, '{"command":1}'],
  ["a command as a form", 415, COMMAND, `${COOKIE}${ORIGIN}Content-Type: text/plain\r\n`, '{"command":"get all"}'],
  ["a command of no origin", 403, COMMAND, COOKIE + JSON_TYPE, '{"command":"get all"}'],
  ["a command of another origin", 403, COMMAND, `${COOKIE}${JSON_TYPE}Origin: http://127.0.0.1:9999\r\n`, "{}"],
  ["a command without the key", 403, COMMAND, ORIGIN + JSON_TYPE, '{"command":"get all"}'],
  ["a command that is asked for", 405, "GET /live/command", COOKIE],
];

for (const [name, status, ...request] of cases) {
  Deno.test(`the page's server: ${name}`, async () => {
    const response = await answer(...request);
    assert.equal(response.status, status, await textOf(response.content));
    for (const field of SECURITY_FIELDS) {
      assert.deepEqual(response.fields!.filter(([name]) => name === field[0]), [field]);
    }
  });
}

Deno.test("only the right key is answered with a cookie", async () => {
  const cookies = async (line: string) =>
    (await answer(line)).fields!.filter(([name]) => name === "Set-Cookie").map(([, value]) => value);
  assert.deepEqual(await cookies("GET /"), []);
  assert.deepEqual(await cookies("GET /?key=k3y"), [
    "wiretable-9998=k3y; HttpOnly; SameSite=Strict; Path=/live/",
  ]);
});

Deno.test("a message is asked for as the page gives it", async () => {
  await answer(`${MESSAGE}&whole=true`, COOKIE);
  assert.deepEqual(asked.at(-1), { connection: 1, direction: "request", from: 0, to: 9, method: "GET", whole: true });
});

Deno.test("a command's line and its error are JSON", async () => {
  const fields = COOKIE + ORIGIN + JSON_TYPE;
  assert.equal(
    await textOf((await answer(COMMAND, fields, '{"command":"get all"}')).content),
    '{"text":"did get all"}',
  );
  assert.equal(await textOf((await answer(COMMAND, fields, '{"command":"help"}')).content), '{"error":"Wrong Input"}');
});
