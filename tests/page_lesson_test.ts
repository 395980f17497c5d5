/**
 * The page as a lesson uses it, in a real browser: what is shown of which moment, where it is found again, and what is
 * taken away.
 */

import assert from "node:assert/strict";
import { browserTest, headings, MOMO, octets, pageOf, post, test, urlOf, type Watched } from "./page_support.ts";
import { ServeProcess } from "./serve_process.ts";
import { wireOctets } from "./wire_cases.ts";

const get = (name: string) => `GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const title = `document.querySelector("#message-title").textContent`;
const isLive = `document.querySelector("#live").getAttribute("aria-pressed") === "true"`;
const response = `document.querySelector("#messages .response")?.innerText`;
const click = (selector: string) => `document.querySelector(${JSON.stringify(selector)}).click()`;
/** Opens an exchange, in the page. */
const open = (connection: number, exchange: number) => click(`[data-id="${connection}-${exchange}-request"]`);

/** Loads the address anew. */
async function reload(tab: Watched["tab"]): Promise<void> {
  const address = await tab.evaluate("location.href");
  await tab.go("about:blank");
  await tab.go(address);
}

/** Three exchanges of one connection, and two of another, until they are shown. */
async function twoConnections({ tab, peer, serve }: Watched): Promise<void> {
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange(get("Momo"));
  await peer.exchange(get("absent"));
  const other = await serve.connect();
  await other.exchange(post("Rex", MOMO));
  await other.exchange(get("Rex"));
  other.close();
  await tab.until(`${headings}.length === 5 && ${headings}[4].includes("200 OK")`);
}

test("an exchange shows its request and response together, as they were at each moment", async (watched) => {
  const { tab, peer } = watched;
  await peer.exchange(post("Momo", MOMO));
  await tab.until(`${octets}.includes("HTTP/1.1 201 Created") && ${octets}.startsWith("POST /Momo HTTP/1.1")`);
  assert.equal(await tab.evaluate(isLive), true);
  await peer.exchange(get("Momo"));
  await tab.until(`${headings}.length === 2 && ${headings}[1].includes("200 OK")`);
  await tab.evaluate(open(1, 1));
  await tab.until(`${title} === "POST /Momo" && ${octets}.includes("201 Created")`);
  assert.equal(await tab.text("#position"), "3 of 5", "its last event");
  await tab.press("ArrowLeft");
  await tab.until(`${response} === "not yet" && ${octets}.startsWith("POST /Momo")`);
  await tab.press("ArrowLeft");
  await tab.until(`${title} === "no exchange is open" && document.querySelector("#messages").innerText === ""`);
  await tab.press("End");
  await tab.until(`${title} === "GET /Momo" && ${octets}.includes("200 OK")`);
});

test("a connection that is chosen opens its first exchange, or is followed while live", async (watched) => {
  const { tab, peer } = watched;
  await twoConnections(watched);
  await tab.until(`${title} === "GET /Rex · connection 2"`);
  await tab.evaluate(click('[aria-label^="Connection 1,"]'));
  assert.equal(await tab.evaluate(isLive), true);
  await tab.until(`${title} === "GET /absent · connection 1"`);
  await peer.exchange(get("again"));
  await tab.until(`${title} === "GET /again · connection 1" && ${octets}.includes("404")`);
  await tab.press("ArrowLeft");
  await tab.evaluate(click('[aria-label^="Connection 2,"]'));
  await tab.until(`${title} === "POST /Rex · connection 2" && ${octets}.startsWith("POST /Rex")`);
  assert.equal(await tab.evaluate("location.hash"), "#c2e1");
  assert.match(await tab.text("#paused"), /^paused · 0 new$/);
  await peer.exchange(get("later"));
  await tab.until(`document.querySelector("#paused").innerText === "paused · 1 new"`);
});

test("the address names the exchange and the view, for reloads, for back and forward, for others", async (watched) => {
  const { tab, url } = watched;
  await twoConnections(watched);
  const hash = () => tab.evaluate("location.hash");
  assert.equal(await hash(), "");
  assert.match(await tab.evaluate("document.title"), /^127\.0\.0\.1:\d+ · GET \/Rex 200 OK$/);
  await tab.evaluate(open(1, 1));
  await tab.evaluate(open(1, 2));
  assert.equal(await hash(), "#c1e2");
  await tab.press("ArrowLeft");
  await tab.press("ArrowLeft");
  await tab.until(`location.hash === "#c1e1"`);
  await tab.evaluate("history.back()");
  await tab.until(`location.hash === "#c1e1" && ${title}.startsWith("POST /Momo")`);
  await tab.evaluate("history.forward()");
  await tab.until(`location.hash === "#c1e1"`);
  await tab.evaluate(open(2, 2));
  await tab.evaluate("history.back()");
  await tab.until(`${title}.startsWith("POST /Momo")`);
  await tab.evaluate(click("#as-hex"));
  await tab.evaluate(click("#large"));
  await tab.until(`location.search === "?hex&large"`);
  await tab.evaluate(`location.hash = "#c2e1"`);
  await tab.until(`${title} === "POST /Rex · connection 2"`);
  await reload(tab);
  await tab.until(`${title} === "POST /Rex · connection 2" && document.querySelector(".hex") !== null`);
  assert.equal(await tab.evaluate(`document.querySelector("#large").ariaPressed`), "true");
  await tab.press("End");
  await tab.until(`location.hash === "" && ${isLive}`);
  await reload(tab);
  await tab.until(`${title} === "GET /Rex · connection 2" && ${isLive}`);
  // What another page has shown, and what nobody has.
  await tab.go(`${url}#c1e3`);
  await tab.until(`${title} === "GET /absent · connection 1" && location.hash === "#c1e3"`);
  for (const unknown of ["#c9e9", "#c1e9", "#nothing"]) {
    await tab.evaluate(`location.hash = "${unknown}"`);
    await tab.until(`${isLive} && document.querySelector("#notice").innerText.endsWith("here: this is live")`);
    assert.equal(await hash(), "");
    await tab.evaluate(open(1, 1));
    await tab.evaluate(click("#dismiss"));
  }
});

test("the legend opens with its button and with a key, and the empty page says what to type", async (watched) => {
  const { tab, peer } = watched;
  const shown = `document.querySelector("#legend").open`;
  assert.match(await tab.text("#empty"), /Type get all below/);
  await peer.send("GET");
  await tab.until(`${headings}.length === 1`);
  assert.equal(await tab.evaluate(`document.querySelector("#empty").hidden`), true);
  await tab.evaluate(click("#legend-button"));
  assert.equal(await tab.evaluate(shown), true);
  const text = await tab.text("#legend");
  for (const word of ["lanes", "Dashed", "bracket", "pause", "read mark", "grey", "wrong", "End"]) {
    assert.match(text, new RegExp(word), word);
  }
  await tab.press("?");
  assert.equal(await tab.evaluate(shown), false);
  await tab.press("?");
  assert.equal(await tab.evaluate(shown), true);
});

browserTest("titles are names that people read, and stay short", async (chromium) => {
  const page = pageOf();
  const tab = await chromium.open(page.url);
  const cases: [line: string, shown: string][] = [
    ["POST /%ED%95%91%ed%95%91 HTTP/1.1", "POST /핑핑"],
    ["GET /a%2Fb%3Fc%25d%0Ae%C3f%E2%80%AEg HTTP/1.1", "GET /a%2Fb%3Fc%25d%0Ae%C3f%E2%80%AEg"],
    [`GET /${"x".repeat(60)} HTTP/1.1`, `GET /${"x".repeat(35)}…`],
    ["\x16\x03\x01" + "\x02".repeat(30), "\\x16\\x03\\x01" + "\\x02".repeat(17) + "…"],
  ];
  try {
    cases.forEach(([line], index) => {
      const seen = { end: "server", connection: index + 1, time: index } as const;
      const remote = { hostname: "192.0.2.7", port: 50_000 + index };
      page.receive({ ...seen, kind: "opened", local: { hostname: "192.0.2.1", port: 1 }, remote, secure: false });
      page.receive({ ...seen, kind: "read", bytes: wireOctets(`${line}\r\nHost: a\r\n\r\n`) });
    });
    await tab.until(`${headings}.length === ${cases.length}`);
    // Where a peer is on another machine, its address is said.
    assert.deepEqual(
      await tab.texts(".title"),
      cases.map(([, shown], index) => `${index + 1} · 192.0.2.7 · ${shown}`),
    );
    assert.equal(await tab.evaluate(`document.querySelectorAll(".title")[2].title`), `GET /${"x".repeat(60)}`);
  } finally {
    await tab.close();
    await page.close();
  }
});

test("a table keeps to its place: long names and values, long rows, many columns", async ({ tab, peer }) => {
  const columns = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`column${i}`, "1234567890"]));
  await peer.exchange(post("n\u202eame".padEnd(200, "o"), { a: "v".repeat(1000) }));
  await peer.exchange(post("Long", { a: "x".repeat(40_000) }));
  for (let i = 0; i < 30; i++) await peer.exchange(post(`R${i}`, { a: "1" }));
  await peer.exchange(post("R29", columns).replace("POST", "PUT"));
  await tab.until(`document.querySelector("#table-rows tr.changed") !== null`);
  const box = `document.querySelector("#table-box")`;
  const { rows, seen, wide, panel, head } = await tab.evaluate(`(() => {
    const lines = (one) => Math.round(one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight));
    const { top, bottom } = ${box}.getBoundingClientRect();
    const row = document.querySelector("#table-rows tr.changed").getBoundingClientRect();
    return {
      rows: Math.max(...[...document.querySelectorAll(".clamped")].map(lines)),
      seen: row.top >= top && row.bottom <= bottom + 1,
      wide: ${box}.scrollWidth > ${box}.clientWidth,
      panel: document.querySelector("aside").scrollWidth <= document.querySelector("aside").clientWidth,
      head: document.querySelectorAll("#table-head th").length,
    };
  })()`);
  assert.deepEqual({ rows, seen, wide, panel, head }, { rows: 3, seen: true, wide: true, panel: true, head: 22 });
  const part = await tab.evaluate<number>(`document.querySelector("#table-part").offsetHeight / innerHeight`);
  assert(part <= 0.3, `${part} of the height`);
  await peer.exchange(get("R1"));
  await tab.until(`${box}.hidden && document.querySelector("#table-part").innerText.trim() === "table now 32 rows"`);
  await tab.evaluate(click("#table-button"));
  assert.equal(await tab.evaluate(`${box}.hidden`), false);
}, ["--fields", "*"]);

test("the header stays as it is, and little room is enough for two exchanges and four rows", async (watched) => {
  const { tab, peer, serve } = watched;
  const heights = async () => {
    const all: number[] = [];
    for (const [width, height] of [[320, 640], [640, 360], [853, 480]]) {
      await tab.resize(width, height);
      all.push(await tab.evaluate(`document.querySelector("header").offsetHeight`));
    }
    return all;
  };
  await peer.exchange(get("first"));
  await tab.until(`${octets}.includes("404 Not Found")`);
  const before = await heights();
  for (let i = 0; i < 40; i++) {
    const other = await serve.connect();
    await other.exchange(get(`${i}`));
    other.close();
  }
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange(post("Rex", MOMO));
  await tab.until(`${octets}.startsWith("POST /Rex") && ${octets}.includes("201 Created")`);
  assert.deepEqual(await heights(), before);
  assert.match(await tab.text("#older"), /⋯41/);
  const { exchanges, rows, clipped } = await tab.evaluate(`(() => {
    const within = (one, box) => one.top >= box.top - 1 && one.bottom <= box.bottom + 1;
    const count = (selector, box) => [...document.querySelectorAll(selector)].filter((one) =>
      within(one.getBoundingClientRect(), document.querySelector(box).getBoundingClientRect())).length;
    const hides = (one) => !["visible", "clip"].includes(getComputedStyle(one).overflowX);
    return {
      exchanges: count(".group", "#traffic"),
      rows: count("#messages .line", "#messages"),
      clipped: [...document.querySelectorAll("body *:not(.hidden, .chips)")].filter((one) =>
        hides(one) && one.scrollWidth > one.clientWidth + 1).map((one) => one.id || one.className),
    };
  })()`);
  assert(exchanges >= 2 && rows >= 4, `${exchanges} exchanges, ${rows} rows`);
  assert.deepEqual(clipped, []);
});

test("what is found: methods, targets, classes of status, connections, text in octets", async (watched) => {
  const { tab, peer, serve } = watched;
  await twoConnections(watched);
  const filter = async (text: string) => {
    await tab.evaluate(`{
      const filter = document.querySelector("#filter");
      filter.value = ${JSON.stringify(text)};
      filter.dispatchEvent(new Event("input"));
    }`);
  };
  const cases: [text: string, titles: string[]][] = [
    ["POST", ["POST /Momo", "POST /Rex"]],
    ["/rex", ["POST /Rex", "GET /Rex"]],
    ["4xx", ["GET /absent"]],
    ["c2", ["POST /Rex", "GET /Rex"]],
    ["c1 GET", ["GET /Momo", "GET /absent"]],
    ["not found", ["GET /absent"]],
    ['"cat"', ["POST /Momo", "GET /Momo", "POST /Rex", "GET /Rex"]],
  ];
  for (const [text, titles] of cases) {
    await filter(text);
    await tab.until(
      `document.querySelector("#hides").textContent === "the filter hides ${5 - titles.length} of 5"`,
    );
    const shown = await tab.texts(".title:not(.good, .bad)");
    assert.deepEqual(shown.map((one) => one.replace(/^\d+ · /, "")).sort(), [...titles].sort(), text);
  }
  // Steps keep to what is shown, live too.
  await filter("c1 4xx");
  await tab.press("Home");
  await tab.until(`${title} === "GET /absent · connection 1"`);
  await filter("");
  await tab.press("End");
  await tab.evaluate(click("#clear"));
  assert.deepEqual(await tab.texts(".title"), []);
  await tab.until(`${title} === "no exchange is open"`);
  await peer.exchange(get("new"));
  await tab.until(`${title} === "GET /new · connection 1"`);
  await reload(tab);
  await tab.until(`${headings}.length === 6`);
  assert(serve.port > 0);
});

test("what is shown can be taken away: selected, as text, as hex, for curl and for the prompt", async (watched) => {
  const { tab, peer } = watched;
  const request = `PUT /it's HTTP/1.1\r\nHost: localhost\r\nCookie: s3cret\r\nContent-Type: application/json\r\n` +
    `Content-Length: 35\r\n\r\n{"type":"a'b","age":"1","leg":"\u00c3\u00a9"}`;
  await peer.exchange(request);
  await tab.until(`${octets}.includes("201 Created")`);
  await tab.evaluate(`{
    globalThis.copied = [];
    navigator.clipboard.writeText = async (text) => copied.push(text);
    const range = document.createRange();
    const parts = document.querySelectorAll(".request .line");
    range.setStartBefore(parts[0]);
    range.setEndAfter(parts[1]);
    getSelection().addRange(range);
    const data = new DataTransfer();
    parts[0].dispatchEvent(new ClipboardEvent("copy", { clipboardData: data, bubbles: true }));
    copied.push(data.getData("text/plain"));
  }`);
  const names = ["copy as text", "copy as hex", "copy as curl", "copy as raw"];
  assert.deepEqual(await tab.texts("#take button"), names);
  for (const name of ["text", "hex", "curl", "raw"]) await tab.evaluate(click(`#copy-${name}`));
  const [selected, text, hex, curl, raw] = await tab.evaluate<string[]>("copied");
  assert.equal(selected, "PUT /it's HTTP/1.1\r\nHost: localhost\r\n");
  assert(text.startsWith(request.slice(0, 20)) && text.includes("Cookie: ******\r\n") && text.includes("201 Created"));
  assert.match(hex, /^00000000 {2}50 55 54 20 2f 69 74 27 73 20 48 54 54 50 2f 31 {2}PUT \/it's HTTP\/1\n/);
  assert(curl.startsWith("curl ") && curl.includes(`'{"type":"a'\\''b","age":"1","leg":"é"}'`), curl);
  assert(curl.endsWith(`/it'\\''s'`) && !curl.includes("s3cret"), curl);
  assert(raw.startsWith(`raw "PUT /it's HTTP/1.1\\r\\nHost: localhost\\r\\nCookie: ******\\r\\n`), raw);
  assert(raw.endsWith(`{\\"type\\":\\"a'b\\",\\"age\\":\\"1\\",\\"leg\\":\\"é\\"}"`), raw);
  // A browser may refuse, or have no clipboard where it does not trust the address, but let a copy be taken.
  await tab.evaluate(`Object.defineProperty(navigator, "clipboard", { value: undefined })`);
  await tab.evaluate(`{ const { execCommand } = document; document.execCommand = (what) => {
    document.addEventListener("copy", ({ clipboardData }) => copied.push("not taken"), { once: true });
    return copied.push(what) > 0 && execCommand.call(document, what);
  }; }`);
  await tab.evaluate(`document.querySelector("#copied").textContent = ""`);
  await tab.point("#copy-raw", true);
  await tab.until(`document.querySelector("#copied").textContent === "copied"`);
  assert.deepEqual(await tab.evaluate("copied.slice(5)"), ["copy"]);
  // On paper: the exchange, and no controls.
  await tab.send("Emulation.setEmulatedMedia", { media: "print" });
  for (const selector of ["footer", "#live", "#connections", "#take", "#table-part"]) {
    assert.equal(await tab.evaluate(`document.querySelector("${selector}").checkVisibility()`), false, selector);
  }
  assert.equal(
    await tab.evaluate(`document.querySelector("#traffic").offsetWidth === document.body.clientWidth`),
    true,
  );
  await tab.send("Emulation.setEmulatedMedia", { media: "" });
});

test("the command line says what works in it, and a wrong input goes with the next", async ({ tab }) => {
  await tab.evaluate(`document.querySelector("#command").focus()`);
  const send = async (line: string, answer: string) => {
    await tab.type(line);
    await tab.press("Enter");
    await tab.until(`document.querySelector("#answer").textContent.includes(${JSON.stringify(answer)})`);
  };
  for (const line of ["help", "?"]) await send(line, "get NAME");
  assert.doesNotMatch(await tab.text("#answer"), /@FILE|follow|print|quits/);
  await send("help raw", "A request in two pieces");
  await send("wrong", "Wrong Input");
  await send("get all", "200 OK");
  assert.equal(await tab.text("#answer"), "200 OK");
  tab.complaints.length = 0;
});

browserTest("without a key the page says what to open", async (chromium) => {
  await using serve = await ServeProcess.start(["--page", "0"]);
  const url = new URL(await urlOf(serve));
  const tab = await chromium.open(url.origin);
  try {
    await tab.until(`document.querySelector("#notice").innerText !== ""`);
    assert.match(await tab.text("#notice"), /open the address that serve \(or explain\) printed/);
  } finally {
    await tab.close();
  }
});

test("those who hear the page are told which exchange is open, and of new ones now and then", async (watched) => {
  const { tab } = watched;
  await twoConnections(watched);
  const current = `[...document.querySelectorAll('[aria-current="true"]')].map((one) => one.innerText)`;
  await tab.until(`${current}.join() === "2 · GET /Rex"`);
  await tab.until(`document.querySelector("#news").textContent !== ""`);
  assert.match(
    await tab.evaluate(`document.querySelector("#news").textContent`),
    /^\d new exchanges?, the last one GET \/Rex, 200 OK$/,
  );
});

test("the end of a connection is one line", async ({ tab, peer }) => {
  await peer.exchange(get("Momo"));
  peer.close();
  await tab.until(`document.querySelector("#lanes").innerText.includes("closed by the client · ")`);
  const loose = await tab.texts(".loose");
  assert.equal(loose.length, 2);
  assert.match(loose[1], /^1 · closed by the client · \d\.\d{3}$/);
});
