/**
 * How the page looks and is used, in a real browser: contrast, widths, the keyboard.
 */

import assert from "node:assert/strict";
import { headings, MOMO, octets, post, test } from "./page_support.ts";

/** Texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3), as computed in the page. */
const LOW_CONTRAST = `(() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const low = [];
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === "" || !element.checkVisibility()) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const size = parseFloat(fontSize);
    const isLarge = size >= 24 || size >= 18.66 && fontWeight >= 700;
    const contrast = ratio(color, groundOf(element));
    seen++;
    if (contrast < (isLarge ? 3 : 4.5)) low.push(walker.currentNode.data.trim() + " " + contrast.toFixed(2));
  }
  const command = document.querySelector("#command");
  const edges = [[getComputedStyle(command, "::placeholder").color, 4.5], [getComputedStyle(command).borderColor, 3]];
  for (const [color, least] of edges) if (ratio(color, groundOf(command)) < least) low.push(color);
  return { seen, low };
})()`;

test("every text can be told from its ground, in the light and in the dark", async ({ tab, peer }) => {
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange(post("Rex", MOMO));
  await peer.exchange(post("Momo", MOMO).replace("POST", "PUT").replace('"3"', '"5"'));
  await peer.send(`GET /\u00ff HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await tab.until(`document.querySelector(".fault") !== null && ${headings}.length === 4`);
  for (const scheme of ["light", "dark"] as const) {
    await tab.colors(scheme);
    for (const keys of [["End"], Array(4).fill("ArrowLeft"), ["End"]] as string[][]) {
      for (const key of keys) await tab.press(key);
      // Colours change over a quarter of a second.
      await tab.evaluate(`Promise.all(document.getAnimations().map(({ finished }) => finished))`);
      const { seen, low } = await tab.evaluate<{ seen: number; low: string[] }>(LOW_CONTRAST);
      assert(seen > 50, `${seen} texts`);
      assert.deepEqual(low, [], `${scheme}, after ${keys}`);
    }
  }
});

test("nothing is wider than the window, from 320 pixels to a projector, with large type too", async ({ tab, peer }) => {
  await peer.exchange(post("Momo".padEnd(200, "o"), { ...MOMO, type: "cat".repeat(300) }));
  await peer.exchange(`GET /${"a".repeat(500)} HTTP/1.1\r\nHost: localhost\r\nX: ${"b".repeat(500)}\r\n\r\n`);
  await tab.until(`${headings}.length === 2 && document.querySelectorAll("#messages .line").length > 4`);
  for (const width of [320, 600, 1024, 1920]) {
    await tab.resize(width, 700);
    for (const large of [false, true]) {
      await tab.evaluate(`document.documentElement.classList.toggle("large", ${large})`);
      const wide =
        `[document.documentElement, ...document.querySelectorAll("#traffic, aside, aside > section, header")]`;
      const over = await tab.evaluate<string[]>(
        `${wide}.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.id || one.tagName)`,
      );
      assert.deepEqual(over, [], `${width} pixels, large: ${large}`);
      // The command line stays on the screen.
      const { bottom, top } = await tab.evaluate(`document.querySelector("#command").getBoundingClientRect().toJSON()`);
      assert(top >= 0 && bottom <= 700, `the command line is at ${top} to ${bottom}`);
    }
  }
});

test("what happens does not move a narrow page under its reader", async ({ tab, peer, serve }) => {
  await tab.resize(320, 600);
  for (let i = 0; i < 8; i++) await peer.exchange(post(`Momo${i}`, MOMO));
  await tab.until(`document.querySelectorAll("#messages .line").length > 5`);
  const scrolled = await tab.evaluate(`(document.querySelector(".request .line").scrollIntoView(), scrollY)`);
  assert(scrolled > 300, `${scrolled} pixels`);
  // What grows above is made up for by the browser itself, so what counts is where the reader sees a part.
  const seenAt = `document.querySelector(".request .line").getBoundingClientRect().top`;
  const before = await tab.evaluate<number>(seenAt);
  const other = await serve.connect();
  await other.exchange(post("Momo1", MOMO).replace("POST", "PUT").replace('"3"', '"5"'));
  other.close();
  await tab.until(`document.querySelector("#table-rows tr.changed") !== null && ${headings}.length === 9`);
  const now = await tab.evaluate<number>(seenAt);
  assert(Math.abs(now - before) < 50, `from ${before} to ${now} pixels`);
});

test("all is in reach of the keyboard, under a name", async ({ tab, peer }) => {
  await peer.exchange(post("Momo", MOMO));
  await peer.exchange("GET /Momo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const newest = `${octets}.startsWith("GET /Momo")`;
  await tab.until(`${newest} && ${headings}[1]?.includes("200 OK")`);
  const focused = `(({ id, className, dataset, parentElement }) =>
    id || dataset.id || className || parentElement.id)(document.activeElement)`;
  const stops: string[] = [];
  for (let i = 0; i < 19; i++) {
    await tab.press("Tab");
    stops.push(await tab.evaluate(focused));
  }
  assert.deepEqual(stops, [
    ...["connections", "connections", "back", "slider", "forward", "live", "filter", "clear", "legend-button", "large"],
    ...["1-2-request", "as-text", "as-hex", "part marked", "copy-text", "copy-hex", "copy-curl", "copy-raw"],
    ...["table-button"],
  ]);
  const { nodes } = await tab.send("Accessibility.getFullAXTree");
  // deno-lint-ignore no-explicit-any -- the protocol's objects are described elsewhere
  const nameless = nodes.filter(({ role, name, properties = [] }: any) =>
    // deno-lint-ignore no-explicit-any -- likewise
    properties.some(({ name, value }: any) => name === "focusable" && value.value) && !name?.value &&
    !["RootWebArea", "generic"].includes(role.value)
  );
  assert.deepEqual(nameless.map(({ role }: { role: { value: string } }) => role.value), []);
  const landmarks = nodes.filter(({ role }: { role: { value: string } }) =>
    ["region", "complementary", "navigation", "search", "banner", "contentinfo", "main"].includes(role.value)
    // deno-lint-ignore no-explicit-any -- likewise
  ).map(({ role, name }: any) => `${role.value} ${name?.value}`);
  assert.deepEqual(landmarks.length, new Set(landmarks).size, landmarks.join());
  // From one message to the other, open it, and along its rows.
  await tab.evaluate(`document.querySelector('[data-id="1-2-request"]').focus()`);
  await tab.press("ArrowUp");
  assert.match(await tab.evaluate(focused), /^event-/);
  assert.equal(await tab.text("#position"), "3 of 5", "what has the focus is what is looked at");
  const title = `document.querySelector("#message-title").textContent`;
  for (const id of ["1-1-0", "event", "1-1-request"]) {
    await tab.press("ArrowUp");
    assert((await tab.evaluate(focused)).startsWith(id), id);
    await tab.until(`${title} === "POST /Momo"`);
  }
  assert.equal(await tab.text("#position"), "3 of 5", "an exchange is opened at its last event");
  assert.equal(await tab.evaluate(focused), "1-1-request", "the focus stays though the group is drawn anew");
  assert.equal(await tab.text('#lanes [aria-current="true"]'), "1 · POST /Momo");
  // A window that comes back tells of the focus again: nobody has moved it.
  await tab.press("End");
  await tab.evaluate(`document.activeElement.dispatchEvent(new FocusEvent("focusin", { bubbles: true }))`);
  assert.equal(await tab.evaluate(`document.querySelector("#live").getAttribute("aria-pressed")`), "true");
  await tab.until(newest);
  await tab.evaluate(`document.querySelector("#messages .part").focus()`);
  await tab.press("ArrowDown");
  assert.deepEqual(await tab.texts("#messages .part.marked"), ["/Momo"]);
  // Arrows step as long as nothing is typed.
  await tab.evaluate(`document.querySelector("#command").focus()`);
  await tab.press("End");
  await tab.press("ArrowLeft");
  assert.equal(await tab.text("#position"), "4 of 5");
  await tab.type("get");
  await tab.press("ArrowLeft");
  assert.equal(await tab.text("#position"), "4 of 5");
});
