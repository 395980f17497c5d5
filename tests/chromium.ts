/**
 * A real browser for tests: headless Chromium, driven over the DevTools protocol through Deno's own WebSocket.
 */

import { TempFolder, until } from "./support.ts";

const FLAGS = [
  "--headless=new",
  "--kiosk",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-extensions",
  `--disable-features=${
    [
      // What nobody sees here, and takes as long to draw as the page.
      ...["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "InitialWebUI", "WebUIReloadButton"],
      // A tab keeps its process.
      ...["BackForwardCache", "ProactivelySwapBrowsingInstance", "RenderDocument", "SpareRendererForSitePerProcess"],
      ...["HttpsUpgrades", "MediaRouter", "OptimizationHints", "PaintHolding", "Translate"],
    ].join()
  }`,
  "--remote-debugging-port=0",
];
/** The one without windows first: it starts in a tenth of the time. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/** The browser's program; `undefined` where there is none. With CI=true, that is a failure. */
export function findChromium(): string | undefined {
  for (const name of NAMES) {
    try {
      if (new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success) {
        return name;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  if (Deno.env.get("CI") === "true") throw new Error(`There is no ${NAMES.join(", ")} to test the page with`);
  return undefined;
}

/** A command's answer, or an event, of the DevTools protocol. */
// deno-lint-ignore no-explicit-any -- the protocol's objects are described elsewhere
type Json = any;

/** A browser that runs. */
export class Chromium implements AsyncDisposable {
  readonly #folder: TempFolder;
  readonly #child: Deno.ChildProcess;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (result: Json) => void; reject: (error: Error) => void }>();
  readonly #tabs = new Map<string, Tab>();
  /** The empty tabs, by their targets: to load a page in one costs less than to open another. */
  readonly #idle: string[] = [];
  #lastId = 0;

  private constructor(folder: TempFolder, child: Deno.ChildProcess, socket: WebSocket) {
    this.#folder = folder;
    this.#child = child;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
  }

  /** Starts a browser with a profile of its own. */
  static async start(program: string): Promise<Chromium> {
    const folder = new TempFolder();
    const child = new Deno.Command(program, {
      args: [...FLAGS, `--user-data-dir=${folder.path}`, "about:blank"],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let text = "";
    const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let address: string | undefined;
    while (address === undefined) {
      const { done, value } = await errors.read();
      if (done) throw new Error(`Chromium ended: ${text}`);
      text += value;
      address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    }
    // What it says from now on is read, so that it does not wait, and ignored.
    (async () => {
      while (!(await errors.read()).done);
    })();
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const browser = new Chromium(folder, child, socket);
    const { targetInfos } = await browser.send("Target.getTargets");
    for (const { type, targetId } of targetInfos) if (type === "page") browser.#idle.push(targetId);
    return browser;
  }

  /** Opens a tab. */
  async open(url: string, width = 1280, height = 800): Promise<Tab> {
    const targetId: string = this.#idle.pop() ??
      (await this.send("Target.createTarget", { url: "about:blank" })).targetId;
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, sessionId, targetId);
    this.#tabs.set(sessionId, tab);
    for (const domain of ["Page", "Runtime", "Log"]) await tab.send(`${domain}.enable`);
    await tab.resize(width, height);
    await tab.go(url);
    return tab;
  }

  /** Takes a tab's page away, and with its session all that was set for it. */
  async release(targetId: string, sessionId: string): Promise<void> {
    const tab = this.#tabs.get(sessionId)!;
    await tab.go("about:blank");
    await tab.send("Page.resetNavigationHistory");
    await this.send("Target.detachFromTarget", { sessionId });
    this.#tabs.delete(sessionId);
    this.#idle.push(targetId);
  }

  /** Sends a command of the protocol. */
  send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #receive({ id, result, error, method, params, sessionId }: Json): void {
    if (id === undefined) return this.#tabs.get(sessionId)?.told(method, params);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error.message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.send("Browser.close").catch(() => {});
    await Promise.all([closed, this.#child.status]);
    await until(() => {
      try {
        this.#folder[Symbol.dispose]();
        return true;
      } catch {
        // A process of the browser still writes to its profile.
        return false;
      }
    });
  }
}

/** One tab. */
export class Tab {
  /** What the browser complained about: errors, and violations of the content security policy. */
  readonly complaints: string[] = [];
  readonly #browser: Chromium;
  readonly #session: string;
  readonly #target: string;
  #loaded: (() => void) | undefined;

  constructor(browser: Chromium, session: string, target: string) {
    this.#browser = browser;
    this.#session = session;
    this.#target = target;
  }

  /** Takes an event of the protocol. */
  told(method: string, params: Json): void {
    if (method === "Page.loadEventFired") this.#loaded?.();
    else if (method === "Runtime.exceptionThrown") {
      const { text, exception } = params.exceptionDetails;
      this.complaints.push(exception?.description ?? text);
    } else if (method === "Log.entryAdded") this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
  }

  /** Sends a command of the protocol to this tab. */
  send(method: string, params: Json = {}): Promise<Json> {
    return this.#browser.send(method, params, this.#session);
  }

  /** Loads an address. */
  async go(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.#loaded = resolve);
    await this.send("Page.navigate", { url });
    await loaded;
  }

  /** Makes the window of another size. */
  async resize(width: number, height: number): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** Looks as in the light or in the dark. */
  async colors(scheme: "light" | "dark"): Promise<void> {
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  /** The value of an expression in the page. */
  async evaluate<T = Json>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression in the page holds, looking with every frame. */
  async until(expression: string): Promise<void> {
    const seen = await this.evaluate<boolean>(`new Promise((resolve) => {
      const late = performance.now() + 20000;
      const look = () => {
        try { if (${expression}) return resolve(true); } catch {}
        if (performance.now() > late) resolve(false); else setTimeout(look, 5);
      };
      look();
    })`);
    if (!seen) throw new Error(`Never came true: ${expression}\n${await this.evaluate("document.body.innerText")}`);
  }

  /** The text of the first element that a selector finds. */
  text(selector: string): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  }

  /** The texts of all elements that a selector finds, each on one line. */
  async texts(selector: string): Promise<string[]> {
    const elements = `[...document.querySelectorAll(${JSON.stringify(selector)})]`;
    const texts = await this.evaluate<string[]>(`${elements}.map((one) => one.innerText)`);
    return texts.map((text) => text.replace(/\s+/g, " ").trim());
  }

  /** Presses a key, as ArrowLeft. */
  async press(key: string): Promise<void> {
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
    const code = { Enter: 13, Tab: 9, End: 35, Home: 36, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[
      key
    ];
    for (const type of ["keyDown", "keyUp"]) {
      await this.send("Input.dispatchKeyEvent", { type, key, text, windowsVirtualKeyCode: code });
    }
  }

  /** Types text into what has the focus. */
  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  /** Moves the pointer over the middle of the element, and clicks it if asked to. */
  async point(selector: string, click = false): Promise<void> {
    const { x, y } = await this.evaluate<{ x: number; y: number }>(`(() => {
      const one = document.querySelector(${JSON.stringify(selector)});
      one.scrollIntoView({ block: "nearest" });
      const { left, top, width, height } = one.getClientRects()[0];
      return { x: left + width / 2, y: top + height / 2 };
    })()`);
    const types = click ? ["mouseMoved", "mousePressed", "mouseReleased"] : ["mouseMoved"];
    for (const type of types) {
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: click ? "left" : "none", clickCount: 1 });
    }
  }

  /** A picture of what is seen, as PNG. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  }

  /** Closes the tab's page. */
  async close(): Promise<void> {
    await this.#browser.release(this.#target, this.#session);
  }
}
