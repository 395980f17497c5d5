/**
 * For tests of the page: a page without a server of its table, and real ones in a browser, one for all tests of a file.
 */

import assert from "node:assert/strict";
import { REQUEST_LIMITS } from "../lib/limits.ts";
import { type LivePage, openPage, type PageOptions } from "../lib/page.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { Table } from "../lib/table.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import { Chromium, findChromium, type Tab } from "./chromium.ts";
import { ServeProcess } from "./serve_process.ts";
import type { Peer } from "./support.ts";

const program = findChromium();
let browser: Promise<Chromium> | undefined;
let left = 0;

/** A server, its page in a tab, and a client of the table. */
export interface Watched {
  serve: ServeProcess;
  url: string;
  tab: Tab;
  peer: Peer;
}

/** The address of the page that a process has printed. */
export async function urlOf(serve: ServeProcess): Promise<string> {
  await serve.printed(" is shown at http:");
  return /shown at (http:\S+)/.exec(serve.output)![1];
}

/** Registers a test with a browser. */
export function browserTest(name: string, run: (chromium: Chromium) => Promise<void>): void {
  left++;
  Deno.test({
    name: program === undefined ? `${name} (skipped: there is no Chromium here)` : name,
    ignore: program === undefined,
    // The browser stays for the next test.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      browser ??= Chromium.start(program!);
      const chromium = await browser;
      try {
        await run(chromium);
      } finally {
        if (--left === 0) await chromium[Symbol.asyncDispose]();
      }
    },
  });
}

/** Registers a test with a server, its page in a tab, and a client of the table. */
export function test(name: string, run: (watched: Watched) => Promise<void>, args: string[] = []): void {
  browserTest(name, async (chromium) => {
    await using serve = await ServeProcess.start(["--page", "0", ...args]);
    const url = await urlOf(serve);
    const tab = await chromium.open(url);
    await tab.until(`document.querySelector("#address").textContent !== ""`);
    const peer = await serve.connect();
    try {
      await run({ serve, url, tab, peer });
      assert.deepEqual(tab.complaints, []);
    } finally {
      peer.close();
      await tab.close();
    }
  });
}

/** A request that posts a row. */
export function post(name: string, row: object): string {
  const content = JSON.stringify({ [name]: row });
  const length = new TextEncoder().encode(content).length;
  const octets = [...new TextEncoder().encode(content)].map((octet) => String.fromCharCode(octet)).join("");
  return `POST /${encodeURIComponent(name)} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${length}\r\n\r\n${octets}`;
}

/** A row. */
export const MOMO = { type: "cat", age: "3", leg: "4" };
/** The texts of all exchanges in the lanes, as an expression in the page. */
export const headings = `[...document.querySelectorAll(".group")].map((one) => one.innerText)`;
/** The octets of the open exchange's messages, as an expression in the page. */
export const octets = `[...document.querySelectorAll("#messages .octets")].map((one) => one.innerText).join("\\n")`;

/** A page for a table that nobody else serves. */
export function pageOf(options: Partial<PageOptions> = {}): LivePage {
  const schema = RowSchema.parse("type,age,leg");
  return openPage({
    port: 0,
    history: 100,
    showCredentials: false,
    messageLimits: REQUEST_LIMITS,
    endpoint: { secure: false, host: "127.0.0.1", port: 1 },
    caCerts: [],
    words: { fields: schema.fields, filterOperators: [] },
    table: new Table(new MemoryStore(), { schema }),
    failed: (error) => {
      throw error;
    },
    ...options,
  });
}
