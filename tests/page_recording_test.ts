/**
 * The page of a capture, in a real browser.
 */

import assert from "node:assert/strict";
import { browserTest, urlOf } from "./page_support.ts";
import { runProgram, ServeProcess } from "./serve_process.ts";
import { TempFolder } from "./support.ts";
import type { Tab } from "./chromium.ts";
import { capture, SERVER, talk } from "./traffic/captures.ts";

const GET = "GET /Momo HTTP/1.1\r\nHost: a\r\nCookie: s3cret\r\n\r\n";
const ANSWER = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/** Three connections, the second of which is no HTTP. */
const CONNECTIONS = [
  talk([`> ${GET}`, `< ${ANSWER}`, `> ${GET.slice(0, 20)}`, `> ${GET.slice(20)}`, `< ${ANSWER}`], 40_001),
  talk(["> hello there\r\n\r\n", "< SSH-2.0-x\r\n"], 40_002),
  talk([`> ${GET.replace("Momo", "Rex")}`, `< ${ANSWER}`], 40_003),
].flat();

/** Runs a test on the page of a capture. */
function recorded(name: string, args: string[], run: (tab: Tab) => Promise<void>, packets = CONNECTIONS): void {
  browserTest(name, async (chromium) => {
    using folder = new TempFolder();
    const file = `${folder.path}/lesson.pcapng`;
    Deno.writeFileSync(file, capture(packets));
    const permissions = ["--allow-net", "--allow-read"];
    await using explained = await ServeProcess.start(["--page", "0", ...args], permissions, ["explain", file]);
    const tab = await chromium.open(await urlOf(explained));
    try {
      await tab.until(`document.querySelector("#address").textContent.startsWith("lesson.pcapng · 1970-01-01 ")`);
      await run(tab);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.close();
    }
  });
}

recorded("a capture opens at its first exchange, in the words of packets", [], async (tab) => {
  await tab.until(`document.querySelector("#messages").innerText.includes("404 Not Found")`);
  assert.equal(await tab.evaluate("location.hash"), "#c1e1");
  assert.equal(await tab.text("#message-title"), "GET /Momo · connection 1");
  const text = await tab.evaluate<string>("document.body.innerText");
  assert.match(text, /segment of \d+ octets/);
  assert.match(text, /packet 4 /);
  assert.match(text, /in 2 segments/);
  assert.match(text, /connection 2: .* not HTTP/);
  assert.doesNotMatch(text, /\b(?:read|accepted|live|s3cret)\b/);
  assert.match(text, /Cookie: \*{6}/);
  for (const selector of ["#table-part", "#command", "#live", "#clear"]) {
    assert.equal(await tab.evaluate(`document.querySelector("${selector}").checkVisibility()`), false, selector);
  }
  await tab.evaluate(`document.querySelector('[data-id="3-1-request"]').click()`);
  await tab.until(`document.querySelector("#message-title").innerText === "GET /Rex · connection 3"`);
  await tab.press("Home");
  await tab.until(`document.querySelector("#message-title").innerText === "no exchange is open"`);
});

recorded("the address of a connection opens its first event among those that the filter shows", [], async (tab) => {
  await tab.until(`document.querySelector("#messages").innerText.includes("404 Not Found")`);
  await tab.evaluate(`(() => {
    document.querySelector("#filter").value = "c3";
    document.querySelector("#filter").dispatchEvent(new Event("input"));
  })()`);
  await tab.until(`document.querySelector("#position").textContent.endsWith(" of 3")`);
  await tab.evaluate(`location.hash = "#c3"`);
  await tab.until(`document.querySelector("#message-title").innerText === "no exchange is open"`);
  assert.equal(await tab.text("#position"), "1 of 3");
  // Of a connection that the filter hides nothing is shown.
  await tab.evaluate(`[...document.querySelectorAll("#connections button")].at(-2).click()`);
  await tab.until(`document.querySelector("#position").textContent === "no events"`);
});

recorded(
  "the first events of a capture are kept, and it says how many are missing",
  ["--page-history", "3"],
  async (tab) => {
    await tab.until(`document.querySelector("#remarks").innerText !== ""`);
    assert.match(await tab.text("#remarks"), /^\d+ more events are not shown, only the first 3: .*--connection N/);
  },
);

recorded(
  "one connection of a capture keeps its numbers, and shows credentials when asked to",
  ["--connection", "3", "--show-credentials"],
  async (tab) => {
    await tab.until(`document.querySelector("#messages").innerText.includes("Cookie: s3cret")`);
    assert.equal(await tab.evaluate("location.hash"), "#c3e1");
  },
);

recorded(
  "a message that its connection's end has cut off is not whole, and was not yet whole before",
  [],
  async (tab) => {
    const about = `document.querySelector(".message.response").innerText`;
    await tab.until(`${about}.includes("not whole yet")`);
    assert.match((await tab.texts(".beneath")).at(-1)!, / · not whole · /);
    await tab.press("End");
    await tab.until(`/not whole(?! yet)/.test(${about})`);
  },
  talk([`> ${GET}`, "< HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "> RST"]),
);

recorded(
  "what a capture lacks is shown where it is missing, and nothing is said that it does not show",
  [],
  async (tab) => {
    await tab.press("End");
    await tab.until(`document.querySelector("#lanes").innerText.includes("Last")`);
    const lines = await tab.evaluate<string>(`document.querySelector("#lanes").innerText`);
    assert.match(
      lines,
      /200 OK\s[^]*1 · 7 octets of the client [^]*GET \/Rex\s[^]*1 · 9 octets of the server [^]*in the segment before\s/,
    );
    assert.doesNotMatch(lines, /answered before/);
    assert.match(lines, /2 · 404 Not Found[^]*its request is not here/);
  },
  [
    ...talk([
      ...[`> ${GET.slice(0, 30)}`, `>x ${"x".repeat(7)}`, "< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] as const,
      ...[`> ${GET.replace("Momo", "Rex")}${GET.replace("Momo", "Last")}`, `< ${ANSWER}`] as const,
      ...[`<x ${"y".repeat(9)}`, `< ${ANSWER}`, "> FIN"] as const,
    ], 40_001),
    ...talk([`<x x`, `< ${ANSWER}`], 40_002),
  ],
);

Deno.test("what cannot be shown on a page is one line", async () => {
  using folder = new TempFolder();
  const file = `${folder.path}/message`;
  Deno.writeTextFileSync(file, GET);
  using held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = held.addr as Deno.NetAddr;
  const capturePath = `${folder.path}/lesson.pcapng`;
  Deno.writeFileSync(capturePath, capture(talk([`> ${GET}`])));
  const cases: [args: string[], line: RegExp][] = [
    [[file, "--page", "0"], /^wiretable: --page shows a capture .* and .* is not one\n$/],
    [[capturePath, "--page", `${port}`], new RegExp(`^wiretable: Port ${port} on 127.0.0.1 is taken: choose another`)],
    [[capturePath, "--page-history", "5"], /^wiretable: --page-history needs --page\n$/],
    [[capturePath, "--page", "0", "--list"], /^wiretable: --page and --list cannot be used together\n$/],
  ];
  for (const [args, line] of cases) {
    const { code, stderr } = await runProgram(["explain", ...args], "", ["--allow-net", "--allow-read"]);
    assert.equal(code, 1);
    assert.match(stderr, line);
  }
});

recorded(
  "ten thousand events stay fluid",
  [],
  async (tab) => {
    await tab.until(`Number(document.querySelector("#position").textContent.split(" of ")[1]) > 9000`);
    const nodes = await tab.evaluate<number>(`document.querySelectorAll("*").length`);
    assert(nodes < 3000, `${nodes} elements`);
    await tab.press("End");
    await tab.until(`document.querySelector("#position").textContent === "9999 of 9999"`);
    await tab.until(`document.querySelector("#messages").innerText.includes("404 Not Found")`);
  },
  talk(Array.from({ length: 4_999 }, () => [`> ${GET}`, `< ${ANSWER}`] as const).flat(), 40_001),
);

const LATE = talk([`> ${GET}`, `< ${ANSWER}`], 40_001);
const REX = talk([`> ${GET.replace("Momo", "Rex")}`, `< ${ANSWER}`], 40_002);

recorded("a capture opens at the exchange that began first, whose connection may be a later one", [], async (tab) => {
  await tab.until(`document.querySelector("#message-title").innerText === "GET /Rex · connection 2"`);
  assert.equal(await tab.text("#server"), "2 servers");
}, [...LATE.slice(0, 3), ...REX.map((segment) => ({ ...segment, server: { ...SERVER, port: 80 } })), ...LATE.slice(3)]);

recorded("a response that was not captured is not said to be none", [], async (tab) => {
  const is = (text: string) => tab.until(`document.querySelector(".absent.response")?.innerText === "${text}"`);
  await is("not yet");
  await tab.press("End");
  await is("not captured");
  assert.match(await tab.text("#lanes"), /octets of the server only acknowledged/);
}, talk([`> ${GET}`, `<x ${ANSWER}`, "> FIN", "< FIN"]));

recorded(
  "a gap in content of known length costs only what is missing",
  [],
  async (tab) => {
    const messages = `document.querySelector("#messages").innerText`;
    await tab.until(`${messages}.includes("200 OK")`);
    const text = await tab.text("#messages");
    assert.match(text, /30 octets of content[^]*10 octets of the content not captured[^]*HTTP\/1\.1 200 OK/);
    assert.match(text, /200 OK[^]*30 octets of content[^]*20 octets of the content not captured/);
    assert.doesNotMatch(text, /needs|not whole/);
    assert(await tab.evaluate(`document.querySelector("#copy-curl").disabled`));
    assert.match(await tab.text("#lanes"), /PUT \/a[^]*200 OK[^]*GET \/Momo[^]*404 Not Found/);
  },
  talk([
    `> PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n${"a".repeat(10)}`,
    `>x ${"b".repeat(10)}`,
    `> ${"c".repeat(10)}`,
    "< HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n01234",
    `<x ${"5".repeat(20)}`,
    "< 56789",
    `> ${GET}`,
    `< ${ANSWER}`,
    "> FIN",
    "< FIN",
  ]),
);
