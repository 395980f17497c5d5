/**
 * The page of a relay in a real browser.
 */

import assert from "node:assert/strict";
import { browserTest, urlOf } from "./page_support.ts";
import { ServeProcess } from "./serve_process.ts";

browserTest("a relay's page has three lanes, with the time of each read and write, and marks the changed Host", async (
  chromium,
) => {
  await using server = await ServeProcess.start(["--quiet"]);
  const address = `127.0.0.1:${server.port}`;
  await using relay = await ServeProcess.start(["--quiet", "--page", "0"], undefined, [
    "relay",
    address,
    "--port",
    "0",
  ]);
  const tab = await chromium.open(await urlOf(relay));
  await tab.until(`document.querySelector("#address").textContent !== ""`);
  const peer = await relay.connect();
  await peer.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer.close();
  await tab.until(`document.querySelector("#lanes").innerText.includes("closed by")`);
  assert.equal(await tab.text("#server"), address);
  assert.match(await tab.text("#clock"), new RegExp(`^relay 127\\.0\\.0\\.1:${relay.port} · seconds$`));
  assert.equal(await tab.evaluate(`getComputedStyle(document.querySelector("#table-part")).display`), "none");
  const rows: string[] = await tab.evaluate(
    `[...document.querySelectorAll(".group .event")].map((event) =>
      [...event.children].slice(0, 3).map((one) => one.innerText).join(" | "))`,
  );
  const times: number[] = await tab.evaluate(
    `[...document.querySelectorAll(".event .at")].map((one) => parseFloat(one.innerText)).filter((time) => time >= 0)`,
  );
  assert.deepEqual(times, times.toSorted((a, b) => a - b), "the times are in order");
  const length = 35 + address.length - "localhost".length;
  assert.deepEqual(
    rows.map((row) => row.replace(/[\d.]+ (?=read|write|connected)/, "").replace(/\d+(?= octets \| write \| $)/, "N")),
    [
      "1 · GET / | read | ",
      " | connected | opened",
      ` | write | ${length} octets`,
      " | read | 200 OK",
      "N octets | write | ",
    ],
  );
  await tab.until(`document.body.innerText.includes("Host: localhost -> ${address}")`);
  await tab.evaluate(`(() => {
    document.querySelector("#command").value = "get /";
    document.querySelector("#send").requestSubmit();
  })()`);
  await tab.until(`document.querySelector("#answer").innerText === "200 OK"`);
  await tab.until(`[...document.querySelectorAll(".group")].length === 2`);
  for (const width of [320, 400, 520, 900]) {
    await tab.resize(width, 800);
    const beyond = `(() => {
      const { left, right } = document.querySelector("#traffic").getBoundingClientRect();
      const boxes = [...document.querySelectorAll("#lanes button")].map((one) => one.getBoundingClientRect());
      return boxes.filter((one) => one.left < left || one.right > right).length;
    })()`;
    assert.equal(await tab.evaluate(beyond), 0, `at ${width} px`);
  }
});
