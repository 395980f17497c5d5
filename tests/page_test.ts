/**
 * The page in a real browser, on a real server: one browser for all tests, a server for each.
 */

import assert from "node:assert/strict";
import { browserTest, headings, MOMO, octets, pageOf, post, test, urlOf } from "./page_support.ts";
import { ServeProcess } from "./serve_process.ts";
import { Peer } from "./support.ts";
import { wireOctets } from "./wire_cases.ts";

test("a session appears in order, and the address loses its key", async ({ tab, peer, url, serve }) => {
  assert.equal(await tab.evaluate("location.href"), new URL("/", url).href);
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange("GET /Momo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await peer.send("GET /Momo HTTP/1.1\nHost: localhost\r\n\r\n");
  await peer.receive();
  peer.close();
  await tab.until(`document.querySelector("#lanes").innerText.includes("closed by")`);
  const titles = await tab.texts("#lanes .title");
  assert.deepEqual(titles, [
    "1 · POST /Momo",
    "201 Created",
    "1 · GET /Momo",
    "200 OK",
    "1 · GET /Momo",
    "400 Bad Request",
  ]);
  assert.match((await tab.texts(".beneath")).at(-2)!, /A bare LF .* octet 18/);
  const pills = await tab.texts(".event button.octets");
  assert.match(pills[0], new RegExp(`^1 · opened · \\d+ → ${serve.port}$`));
  assert.match(pills.at(-1)!, /^1 · closed by the server \(error 400\) · \d\.\d{3}$/);
  await tab.until(`document.querySelector(".fault").innerText.includes("fix: ")`);
  assert.match(
    await tab.text(".fault"),
    /A bare LF follows the HTTP version: may be refused, or read as a line end.*RFC.9112.§2\.2[^]*\^ octet 18[^]*fix: end every line with/,
  );
});

test("a request sent in two pieces shows two reads, and where the second one starts", async ({ tab, peer }) => {
  const request = post("Momo", MOMO);
  await peer.send(request.slice(0, 30));
  await tab.until(`${headings}.length === 1`);
  assert.match((await tab.texts(".beneath"))[0], /^30 octets · not whole yet$/);
  await tab.until(`document.querySelector(".absent.response")?.innerText === "not yet"`);
  await peer.send(request.slice(30));
  await peer.receive();
  await tab.until(`${headings}.some((text) => text.includes("201"))`);
  assert.match((await tab.texts(".beneath"))[0], new RegExp(`^30 octets · ${request.length} octets in 2 reads$`));
  assert.match((await tab.texts(".beneath"))[1], /^\d+ octets · answered in/);
  const events = await tab.texts(".group .event");
  assert.match(events[0], /^1 · POST \/Momo read [\d.]+ 30 octets · /);
  assert.match(events[1], new RegExp(`^${request.length - 30} octets read [\\d.]+$`));
  assert.match(events[2], /^201 Created write [\d.]+ \d+ octets/);
  await tab.until(`document.querySelector(".request .octets .cut") !== null`);
  assert.match(await tab.text(".request .findings"), /it came in 2 reads: another one starts at octet 30/);
});

test("the pointer marks a row, and tells its octets, meaning and parts, in text and in hex", async ({ tab, peer }) => {
  await peer.exchange(post("Momo", MOMO));
  await tab.until(`document.querySelectorAll(".response .line").length > 5`);
  for (const direction of ["request", "response"]) {
    const rows = await tab.texts(`.${direction} .part`);
    const type = rows.findIndex((text) => text.startsWith("Content-Type:"));
    await tab.point(`.${direction} .part[data-row="${direction}-${type}"]`);
    await tab.until(`document.querySelectorAll("#messages .part.marked").length === 1`);
    assert.match(await tab.text("#messages .marked"), /^Content-Type: application\/json/);
    assert.match(await tab.text("#meaning"), /^octets \d+-\d+ · media type of the content · RFC.9110.§8\.3$/);
  }
  await tab.point(`.request .part[data-row="request-0"]`);
  await tab.until(`document.querySelector("#meaning").innerText.startsWith("octets 0-4 · method: ")`);
  await tab.point("#as-hex", true);
  await tab.until(`document.querySelector(".hex") !== null`);
  await tab.point(`.request .part[data-row="request-3"]`);
  await tab.until(`document.querySelector("#meaning").innerText.includes("which site this is for")`);
  assert.match(
    await tab.text(".hex .marked"),
    /^\s*\d+\s+48 6f 73 74 3a 20 6c 6f\s+Host:·lo\s+\d+\s+63 61 6c 68 6f 73 74 0d\s+calhost←\s+\d+\s+0a\s+↓$/,
  );
});

test("the table follows, its changes are marked, and stepping shows it as it was", async ({ tab, peer }) => {
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange(post("Momo", MOMO).replace("POST", "PUT").replace('"3"', '"5"'));
  await peer.exchange("DELETE /Momo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await tab.until(`document.querySelector("#table-rows tr.removed") !== null`);
  assert.equal(await tab.text("#table-size"), "0 rows");
  const states: string[] = [];
  for (let steps = 0; steps < 5; steps++) {
    await tab.press("ArrowLeft");
    const row = await tab.evaluate(`document.querySelector("#table-rows tr")?.className ?? "none"`);
    const age = await tab.evaluate(`document.querySelector("#table-rows td:nth-child(3)")?.textContent ?? ""`);
    states.push(`${row} ${age}`.trim());
  }
  // Back from the deletion: its request, then the replacement's response and request, then the creation's.
  assert.deepEqual(states, ["5", "changed 5", "3", "added 3", "none"]);
  // What nothing changes is one line.
  assert.equal(
    await tab.evaluate(`document.querySelector("#table-part").innerText.trim()`),
    "table after event 2 0 rows",
  );
  assert.equal(await tab.text("#live"), "live");
  assert.equal(await tab.evaluate(`document.querySelector("#live").getAttribute("aria-pressed")`), "false");
  await tab.press("Home");
  await tab.until(`document.querySelector("#position").textContent.startsWith("1 of ")`);
  assert.equal(await tab.text("#table-title"), "table after event 1");
  await tab.press("End");
  await tab.until(`document.querySelector("#live").getAttribute("aria-pressed") === "true"`);
  assert.equal(await tab.text("#table-title"), "table now");
});

test("a command is sent over TCP, and both ends are seen", async ({ tab }) => {
  await tab.evaluate(`document.querySelector("#command").focus()`);
  await tab.type("post Pingping snail 1 0");
  await tab.press("Enter");
  await tab.until(`document.querySelector("#answer").textContent === "201 Created"`);
  await tab.until(`${headings}[0].includes("201 Created")`);
  // Each line has what both ends tell of it.
  await tab.until(
    `[...document.querySelectorAll(".group .event")].every((one) => /read[^]*write|write[^]*read/.test(one.innerText))`,
  );
  const events = await tab.texts(".group .event");
  assert.match(events[0], /^[\d.]+ write 2 · POST \/Pingping read [\d.]+ \d+ octets$/);
  assert.match(events[1], /^[\d.]+ read 201 Created write [\d.]+ \d+ octets · answered/);
  assert.deepEqual(await tab.texts("#table-rows tr.added th, #table-rows tr.added td"), [
    "Pingping (added)",
    "snail",
    "1",
    "0",
  ]);
  const refused = [
    ["q", "only commands that send"],
    ["post X", "values are missing"],
    ["put X @deno.json", "no file is read"],
    ["get http://127.0.0.1:1/", "give the server first"],
  ];
  for (const [line, answer] of refused) {
    await tab.type(line);
    await tab.press("Enter");
    await tab.until(`document.querySelector("#answer").textContent.includes(${JSON.stringify(answer)})`);
  }
  // The browser tells of each refusal; there is nothing else to complain about.
  assert.deepEqual(tab.complaints.splice(0).filter((line) => !line.includes("status of 422")), []);
});

test("both ends' times make a round trip; the example names this table's fields", async ({ tab, serve }) => {
  assert.equal(
    await tab.evaluate(`document.querySelector("#command").placeholder`),
    `get all · post NAME [kind] [size] · delete NAME · raw "…" · help`,
  );
  assert.equal(await tab.text("#example"), `curl http://127.0.0.1:${serve.port}/`);
  await tab.evaluate(`document.querySelector("#command").focus()`);
  await tab.type("get Momo");
  await tab.press("Enter");
  await tab.until(`${headings}[0]?.includes("round trip")`);
  assert.match((await tab.texts(".beneath"))[1], / answered in [\d.]+ m?s · round trip [\d.]+ m?s$/);
  await tab.type("post Momo");
  await tab.press("Enter");
  await tab.until(`document.querySelector("#answer").textContent.endsWith("missing: post NAME [kind] [size]")`);
  assert.deepEqual(tab.complaints.splice(0).filter((line) => !line.includes("status of 422")), []);
}, ["--fields", "kind,size"]);

test("the page keeps as many events as the server", async ({ tab, peer }) => {
  for (let i = 0; i < 6; i++) await peer.exchange(`GET /${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await tab.until(`${headings}.some((text) => text.includes("GET /5") && text.includes("404"))`);
  assert.equal(await tab.text("#position"), "8 of 8");
  // What was opened first may have been forgotten before its octets were asked for, which the browser tells.
  assert.deepEqual(tab.complaints.splice(0).filter((line) => !line.includes("/live/message?")), []);
}, ["--page-history", "8"]);

test("raw octets are sent as they are, and the rules stand beside what comes back", async ({ tab }) => {
  await tab.evaluate(`document.querySelector("#command").focus()`);
  await tab.type(String.raw`raw "GET /Mo" 20ms "mo HTTP/1.1\n" fin`);
  await tab.press("Enter");
  await tab.until(`document.querySelector("#answer").textContent.includes("HTTP/1.1 400")`);
  const lines = (await tab.text("#answer")).split("\n");
  assert.match(lines[0], /^ +0\.\d{3} > +7 {2}GET \/Mo$/);
  assert.match(lines[1], /^ +0\.\d{3} > +12 {2}mo HTTP\/1\.1\\n$/);
  assert(
    lines.some((line) => line.startsWith("by the rules: may be refused: 400 at octet 18, a bare LF")),
    lines.join("\n"),
  );
  await tab.until(`${headings}.some((text) => text.includes("400 Bad Request") && text.includes("octet 18"))`);
  const reads = (await tab.texts(".group .event")).filter((text) => / (?:7|12) octets/.test(text));
  assert.equal(reads.length, 2);
  // What is long can be closed.
  await tab.press("Escape");
  assert.equal(await tab.text("#answer"), "");
  assert.equal(await tab.evaluate(`document.querySelector("#close").hidden`), true);
  // The exchange has ended the connection: a command afterwards has one of its own.
  await tab.type("get Momo");
  await tab.press("Enter");
  await tab.until(`document.querySelector("#answer").textContent === "404 Not Found"`);
  await tab.until(`${headings}.some((text) => text.includes("3 · GET /Momo"))`);
  await tab.type("raw");
  await tab.press("Enter");
  await tab.until(`document.querySelector("#answer").textContent.startsWith("Wrong Input: steps are")`);
  assert.deepEqual(tab.complaints.splice(0).filter((line) => !line.includes("status of 422")), []);
});

test("what peers send is shown as text, whatever it is", async ({ tab, peer, serve }) => {
  const name = `<img src=x onerror=alert(1)>\u202e`;
  const value = `</script><script>alert(2)</script>\u001b[31m\u2066\u200b\u{e0041}`;
  await peer.exchange(post(name, { type: value, age: "1", leg: "2" }));
  await peer.exchange(`GET /<script>alert(3)</script> HTTP/1.1\r\nHost: localhost\r\nX: \u00e2\u0080\u00ae<b>\r\n\r\n`);
  await tab.until(`document.querySelectorAll("#table-rows tr").length === 1 && ${headings}.length === 2`);
  const [title, shown] = await tab.texts("#table-rows th, #table-rows td");
  assert.equal(title, `<img src=x onerror=alert(1)>\\u202e`);
  assert.equal(shown, `</script><script>alert(2)</script>\\x1b[31m\\u2066\\u200b\\u{e0041}`);
  await tab.until(`${octets}.includes("<script>alert(3)")`);
  assert.equal(await tab.evaluate(`document.querySelectorAll("main img, main script, main b").length`), 0);
  const other = await serve.connect();
  await other.exchange(`GET / HTTP/1.1\r\nHost: localhost\r\n<img src=x onerror=alert(4)>\u001b[31m: 1\r\n\r\n`);
  other.close();
  await tab.until(`document.querySelector(".fault pre")?.innerText.startsWith("<img src=x onerror=alert(4)>\\\\x1b")`);
  assert.equal(await tab.evaluate(`document.querySelectorAll("body img, body script, main b").length`), 0);
  const unsafe = await tab.evaluate(`/[\\u001b\\u202e\\u2066\\u200b]/.test(document.body.innerText)`);
  assert.equal(unsafe, false);
});

test("credentials stay on the server", async ({ tab, peer }) => {
  await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\n\r\n");
  await tab.until(`${octets}.includes("Authorization: *************")`);
  assert.doesNotMatch(await tab.evaluate("document.documentElement.outerHTML"), /s3cret/);
});

test("credentials are shown when asked to", async ({ tab, peer }) => {
  await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\n\r\n");
  await tab.until(`${octets}.includes("Authorization: Bearer s3cret")`);
}, ["--show-credentials"]);

browserTest("requests of one read have a heading each, however their responses are written", async (chromium) => {
  const page = pageOf();
  const tab = await chromium.open(page.url);
  try {
    const seen = { end: "server", connection: 1, time: 1 } as const;
    const address = { hostname: "127.0.0.1", port: 1 };
    page.receive({ ...seen, kind: "opened", local: address, remote: address, secure: false });
    const octets = (kind: "read" | "write", text: string) => page.receive({ ...seen, kind, bytes: wireOctets(text) });
    octets("read", ["A", "B", "C", "D"].map((name) => `GET /${name} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
    const response = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    octets("write", response);
    octets("write", response + response);
    const names = `${headings}.map((text) => /GET .(.)/.exec(text)?.[1]).join("")`;
    await tab.until(`${names} === "ABCD" && ${headings}.filter((text) => text.includes("404")).length === 3`);
    assert.match((await tab.texts(".group"))[1], /in the read before/);
  } finally {
    await tab.close();
    await page.close();
  }
});

browserTest("after the server's restart the page follows again, or says what to open", async (chromium) => {
  const first = await ServeProcess.start(["--page", "0"]);
  const url = new URL(await urlOf(first));
  const tab = await chromium.open(url.href);
  const notice = `document.querySelector("#notice").textContent`;
  try {
    await tab.until(`document.querySelector("#address").textContent !== ""`);
    await first.stop();
    await tab.until(`${notice}.includes("does not answer; trying again")`);
    // A process has a key of its own: the browser's cookie is another's.
    await using second = await ServeProcess.start(["--page", url.port]);
    await tab.until(`${notice} === "The server was started again: open the address that it printed."`);
    await tab.go(await urlOf(second));
    await tab.until(`document.querySelector("#address").textContent.endsWith(":${second.port}")`);
    assert.equal(await tab.evaluate(notice), "");
  } finally {
    await tab.close();
  }
});

browserTest("a stream that was cut off goes on by itself", async (chromium) => {
  const options = { key: "the-same-key" };
  const first = pageOf(options);
  const port = Number(new URL(first.url).port);
  const tab = await chromium.open(first.url);
  try {
    const address = `document.querySelector("#address").textContent`;
    await tab.until(`${address} === "127.0.0.1:1"`);
    await first.close();
    await tab.until(`!document.querySelector("#notice").hidden`);
    const second = pageOf({ ...options, port, endpoint: { secure: false, host: "127.0.0.1", port: 2 } });
    // Another process: the page starts over, and nothing is left of the notice.
    await tab.until(`${address} === "127.0.0.1:2" && document.querySelector("#notice").hidden`);
    await second.close();
  } finally {
    await tab.close();
  }
});

test("a fifth page takes the oldest one's place, which says so and stays away", async ({ tab, url, serve }) => {
  const { hostname, port, search, host } = new URL(url);
  await tab.evaluate(`{
    globalThis.closedStreams = 0;
    const { close } = EventSource.prototype;
    EventSource.prototype.close = function () {
      closedStreams++;
      close.call(this);
    };
  }`);
  const peers = [];
  // These read nothing, as pages that stall.
  for (let i = 0; i < 4; i++) {
    const peer = new Peer(await Deno.connect({ hostname, port: Number(port) }));
    await peer.send(`GET /live/events${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    peers.push(peer);
  }
  await tab.until(
    `document.querySelector("#notice").textContent.startsWith("Another page has taken this one's place")`,
  );
  assert.equal(await tab.evaluate("closedStreams"), 1, "a browser would come back after two seconds");
  // Reloaded, it takes the place of one of the others.
  await tab.go(url);
  await tab.until(`document.querySelector("#address").textContent.endsWith(":${serve.port}")`);
  assert.equal(await tab.evaluate(`document.querySelector("#notice").hidden`), true);
  assert.match(await peers[0].receiveAll(), /event: replaced\r?\n/);
  for (const peer of peers) peer.close();
});

test("a connection can be picked, however many there are", async ({ tab, serve, peer }) => {
  await peer.exchange(post("Momo", MOMO));
  for (let i = 0; i < 20; i++) {
    const other = await serve.connect();
    await other.exchange(`GET /${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    other.close();
  }
  await tab.until(`document.querySelector("#connections").innerText.includes("21")`);
  assert.deepEqual(await tab.texts("#connections button"), [
    "all",
    ...Array.from({ length: 12 }, (_, i) => String(i + 10)),
  ]);
  await tab.evaluate(`[...document.querySelectorAll("#connections button")].at(-1).click()`);
  assert.deepEqual(await tab.texts("#lanes .title"), ["GET /19", "404 Not Found"]);
  assert.match(await tab.text("#client"), /^127\.0\.0\.1:\d+$/);
  await tab.evaluate(`(() => {
    const older = document.querySelector("#older");
    older.focus();
    older.value = "1";
    older.dispatchEvent(new Event("change"));
  })()`);
  assert.deepEqual(await tab.texts("#lanes .title"), ["POST /Momo", "201 Created"]);
  assert.match(await tab.text("#position"), /^3 of 3$/);
});

test("of a table that is too large the rows touched last are shown", async ({ tab, peer }) => {
  const bulk = (from: number, to: number) => {
    const rows = Array.from({ length: to - from }, (_, i) => [`R${from + i}`, MOMO]);
    const content = JSON.stringify(Object.fromEntries(rows));
    const head = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    return `${head}Content-Length: ${content.length}\r\n\r\n${content}`;
  };
  await peer.exchange(bulk(0, 500));
  await tab.until(`document.querySelector("#table-size").textContent === "500 rows"`);
  assert.equal((await tab.texts("#table-rows tr")).length, 500);
  await peer.exchange(bulk(500, 501));
  await tab.until(`document.querySelector("#table-size").textContent === "501 rows"`);
  assert.match(await tab.text("#table-note"), /the rows touched last/);
  await peer.exchange("DELETE /R7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await peer.exchange(post("R9", MOMO).replace("POST", "PUT").replace('"3"', '"5"'));
  await tab.until(`document.querySelector("#table-rows").innerText.includes("R9")`);
  assert.equal(await tab.text("#table-size"), "500 rows");
  assert.deepEqual(await tab.texts("#table-rows th"), ["R500", "R7 (removed)", "R9 (changed)"]);
});

test("too much at once is left out, said so, and the table follows again", async ({ tab, peer, serve }) => {
  await peer.exchange(post("Momo", MOMO));
  const refused = post("Large", { ...MOMO, wrong: "x".repeat(600_000) });
  const peers = await Promise.all(Array.from({ length: 4 }, () => serve.connect()));
  await Promise.all(peers.map(async (one, i) => {
    await one.exchange(refused);
    await one.exchange(post(`Unseen${i}`, MOMO));
  }));
  const told = `/^Too much at once: [1-4] connections? (?:is|are) left out, with \\d+ events/.test(
    document.querySelector("#notice").textContent)`;
  // On a slow machine, it may take longer until it is too much.
  for (let rounds = 0; !await tab.evaluate(told); rounds++) {
    assert(rounds < 50, "it is never too much");
    await Promise.all(peers.map((one) => one.exchange(refused)));
  }
  await tab.until(`document.querySelector("#table-size").textContent === "5 rows"`);
  assert.equal(await tab.text("#table-note"), "");
  await peer.exchange(post("Rex", MOMO));
  await tab.until(`document.querySelector("#table-size").textContent === "6 rows"`);
  for (const one of peers) one.close();
});

test("thousands of live events stay fluid, and one more is there at once", async ({ tab, peer }) => {
  const request = "GET /Momo HTTP/1.1\r\nHost: localhost\r\n\r\n";
  // At most 180 events in 105 milliseconds, so fewer than 2,000 in any second, which is what the page takes.
  for (let i = 0; i < 18; i++) {
    const pause = new Promise((resolve) => setTimeout(resolve, 105));
    for (let sent = 0; sent < 90; sent++) await peer.exchange(request);
    await pause;
  }
  await tab.until(`Number(document.querySelector("#position").textContent.split(" of ")[1]) > 3000`);
  const nodes = await tab.evaluate<number>(`document.querySelectorAll("*").length`);
  assert(nodes < 3000, `${nodes} elements`);
  await peer.exchange(post("Momo", MOMO));
  await tab.until(`document.querySelector("#table-rows tr.added") !== null`);
  await tab.press("Home");
  await tab.until(`document.querySelector("#position").textContent.startsWith("1 of ")`);
});
