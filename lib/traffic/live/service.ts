/** The page as resources: its files, the events, a message's octets, and commands. */

import { HttpError, type HttpResponse, type Requester, type RequestHead, type Service } from "../../http_message.ts";
import type { Feed } from "./feed.ts";
import { PAGE_FIND_CHARACTERS } from "../../limits.ts";
import { LIVE_PATH, type PageAccess, SECURITY_FIELDS } from "./access.ts";
import type { Direction } from "../../exchange.ts";
import details from "../page/details.css" with { type: "text" };
import lanesStyle from "../page/lanes.css" with { type: "text" };
import style from "../page/page.css" with { type: "text" };
import html from "../page/page.html" with { type: "text" };
import arrows from "../page/arrows.js" with { type: "text" };
import followed_table from "../page/followed_table.js" with { type: "text" };
import lanes from "../page/lanes.js" with { type: "text" };
import message from "../page/message.js" with { type: "text" };
import page from "../page/page.js" with { type: "text" };
import place from "../page/place.js" with { type: "text" };
import shown from "../page/shown.js" with { type: "text" };
import state from "../page/state.js" with { type: "text" };
import table from "../page/table.js" with { type: "text" };
import text from "../page/text.js" with { type: "text" };

const SCRIPTS = { page, arrows, followed_table, lanes, message, place, shown, state, table, text };
const STYLES = { page: style, lanes: lanesStyle, details };

function file(type: string, content: string): HttpResponse {
  return { status: 200, contentType: `text/${type}; charset=utf-8`, content };
}

const FILES: ReadonlyMap<string, HttpResponse> = new Map([
  ["/", file("html", html)],
  ...Object.entries(STYLES).map(([name, content]) => [`/${name}.css`, file("css", content)] as const),
  ...Object.entries(SCRIPTS).map(([name, content]) => [`/${name}.js`, file("javascript", content)] as const),
]);

const EVENTS_PATH = `${LIVE_PATH}events`;
const MESSAGE_PATH = `${LIVE_PATH}message`;
const FIND_PATH = `${LIVE_PATH}find`;
const COMMAND_PATH = `${LIVE_PATH}command`;

/** Which octets a page wants to see: those of a message. */
export interface MessageRange {
  readonly connection: number;
  readonly direction: Direction;
  /** The offset of the first one, counted from the first that went this way. */
  readonly from: number;
  readonly to: number;
  /** The method of the request that a response answers; empty if that is not known. */
  readonly method: string;
  /** Whether the message is whole, so that nothing of it is still to come. */
  readonly whole: boolean;
}

export interface PageSource {
  /** Returns a message's octets and rows; `undefined` if they are no longer kept. */
  message(range: MessageRange): unknown;
  /** Finds text in octets, see {@linkcode History.find}. */
  find(text: string): Promise<readonly string[]>;
  /** Executes a command until the signal is aborted: its client has left. Returns what to show, or throws a 422. */
  command(line: string, signal: AbortSignal): Promise<string>;
}

export class PageService implements Service {
  constructor(private readonly access: PageAccess, private readonly feed: Feed, private readonly source: PageSource) {}

  /** @throws {HttpError} 403, 404, 405, 415 or 421. */
  precheck(request: RequestHead): void {
    this.access.check(request);
    const { method, path, fields } = request;
    if (![COMMAND_PATH, EVENTS_PATH, FIND_PATH, MESSAGE_PATH].includes(path) && !FILES.has(path)) {
      throw new HttpError(404, `Nothing is at ${path}`);
    }
    const allowed = path === COMMAND_PATH ? ["POST"] : ["GET", "HEAD"];
    if (!allowed.includes(method)) {
      throw new HttpError(405, `${method} is not allowed on ${path}: use ${allowed.join(" or ")}`, {
        fields: [["Allow", allowed.join(", ")]],
      });
    }
    if (method !== "POST") return;
    if (fields.get("origin") === undefined) throw new HttpError(403, "A command needs the Origin of this page");
    const type = fields.get("content-type") ?? "none";
    if (/^application\/json *(?:;|$)/i.test(type)) return;
    throw new HttpError(415, `A command is application/json, saw ${JSON.stringify(type)}`);
  }

  async answer(request: RequestHead, content: Uint8Array, requester: Requester): Promise<HttpResponse> {
    this.precheck(request);
    return secured(await this.#answer(request, content, requester));
  }

  async #answer(request: RequestHead, content: Uint8Array, { signal }: Requester): Promise<HttpResponse> {
    const params = new URLSearchParams(request.query ?? "");
    switch (request.path) {
      case EVENTS_PATH: {
        const response = { status: 200, contentType: "text/event-stream" };
        if (request.method === "HEAD") return response;
        return { ...response, content: this.feed.stream(request.fields.get("last-event-id"), signal) };
      }
      case MESSAGE_PATH: {
        const message = this.source.message(rangeIn(params));
        if (message === undefined) throw new HttpError(404, "These octets are no longer kept");
        return json(message);
      }
      case FIND_PATH: {
        const text = params.get("text") ?? "";
        if (text === "" || text.length > PAGE_FIND_CHARACTERS) {
          throw new HttpError(400, `A text to find has 1 to ${PAGE_FIND_CHARACTERS} characters, saw ${text.length}`);
        }
        return json({ places: await this.source.find(text) });
      }
      case COMMAND_PATH:
        return json({ text: await this.source.command(commandIn(content), signal) });
      default: {
        const hasKey = this.access.check(request);
        return { ...FILES.get(request.path)!, fields: hasKey ? [this.access.cookie] : [] };
      }
    }
  }

  errorResponse(error: HttpError): HttpResponse {
    const { status, message, fields } = error;
    return secured({ ...json({ error: message }), status, fields });
  }
}

function secured(response: HttpResponse): HttpResponse {
  return { ...response, fields: [...response.fields ?? [], ...SECURITY_FIELDS] };
}

function json(value: unknown): HttpResponse {
  return { status: 200, contentType: "application/json", content: JSON.stringify(value) };
}

function rangeIn(params: URLSearchParams): MessageRange {
  const [connection, from, to] = ["connection", "from", "to"].map((name) => {
    return /^\d{1,15}$/.test(params.get(name) ?? "") ? Number(params.get(name)) : NaN;
  });
  const direction = params.get("direction");
  // NaN compares as false.
  if (!(connection >= 0 && from <= to) || direction !== "request" && direction !== "response") {
    throw new HttpError(400, "A message is given by connection, direction, from and to");
  }
  const method = params.get("method") ?? "";
  return { connection, direction, from, to, method, whole: params.get("whole") === "true" };
}

function commandIn(content: Uint8Array): string {
  try {
    const { command } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
    if (typeof command === "string") return command;
  } catch {
    // Said below.
  }
  throw new HttpError(400, 'A command is JSON: {"command":"get all"}');
}
