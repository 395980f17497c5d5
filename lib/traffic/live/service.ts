/**
 * The page as resources: its files, the events, a message's octets, and commands.
 *
 * @module
 */

import {
  HttpError,
  type HttpResponse,
  METHODS_WITH_CONTENT,
  type Requester,
  type RequestHead,
  type Service,
} from "../../http_message.ts";
import type { Feed } from "./feed.ts";
import { PAGE_FIND_CHARACTERS } from "../../limits.ts";
import { LIVE_PATH, type PageAccess, SECURITY_FIELDS } from "./access.ts";
import type { Direction } from "../../exchange.ts";
import details from "../page/details.css" with { type: "text" };
import lanesStyle from "../page/lanes.css" with { type: "text" };
import style from "../page/page.css" with { type: "text" };
import html from "../page/page.html" with { type: "text" };
import arrows from "../page/arrows.js" with { type: "text" };
import commandLine from "../page/command.js" with { type: "text" };
import groups from "../page/groups.js" with { type: "text" };
import lanes from "../page/lanes.js" with { type: "text" };
import message from "../page/message.js" with { type: "text" };
import octets from "../page/octets.js" with { type: "text" };
import script from "../page/page.js" with { type: "text" };
import place from "../page/place.js" with { type: "text" };
import shown from "../page/shown.js" with { type: "text" };
import state from "../page/state.js" with { type: "text" };
import table from "../page/table.js" with { type: "text" };
import take from "../page/take.js" with { type: "text" };
import text from "../page/text.js" with { type: "text" };

type PageFile = Pick<HttpResponse, "contentType" | "content">;

const CSS = "text/css; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
/** The page's files, by their paths: a script of modules, and its styles. */
const FILES: Record<string, PageFile> = {
  "/": { contentType: "text/html; charset=utf-8", content: html },
  "/page.css": { contentType: CSS, content: style },
  "/lanes.css": { contentType: CSS, content: lanesStyle },
  "/details.css": { contentType: CSS, content: details },
  ...Object.fromEntries(
    Object.entries({
      ...{
        page: script,
        arrows,
        command: commandLine,
        groups,
        lanes,
        message,
        octets,
        place,
        shown,
        state,
        table,
        take,
      },
      text,
    }).map(([name, content]) => [`/${name}.js`, { contentType: SCRIPT, content }]),
  ),
};

const EVENTS_PATH = `${LIVE_PATH}events`;
const MESSAGE_PATH = `${LIVE_PATH}message`;
const FIND_PATH = `${LIVE_PATH}find`;
const COMMAND_PATH = `${LIVE_PATH}command`;

/** Which octets a page wants to see: those of a message. */
export interface MessageRange {
  /** The connection's number. */
  readonly connection: number;
  /** Which way they went. */
  readonly direction: Direction;
  /** The first one. */
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
  /** The method of the request that a response answers; empty if that is not known. */
  readonly method: string;
  /** Whether the message is whole, so that nothing of it is still to come. */
  readonly whole: boolean;
}

/** What the page asks the program for. */
export interface PageSource {
  /** A message's octets and rows, as JSON; `undefined` if they are no longer kept. */
  message(range: MessageRange): unknown;
  /** Finds messages with a text in their octets: of each the connection and the number of the exchange. */
  find(text: string): Promise<readonly string[]>;
  /**
   * Executes a command, until the signal is aborted: its client has left.
   *
   * @returns One line to show.
   * @throws {HttpError} 422 if it is none.
   */
  command(line: string, signal: AbortSignal): Promise<string>;
}

/** Serves the page. */
export class PageService implements Service {
  readonly #access: PageAccess;
  readonly #feed: Feed;
  readonly #source: PageSource;

  /** Serves a page to those whom `access` lets pass. */
  constructor(access: PageAccess, feed: Feed, source: PageSource) {
    this.#access = access;
    this.#feed = feed;
    this.#source = source;
  }

  /**
   * As {@linkcode Service.precheck}.
   *
   * @throws {HttpError} 403, 404, 405, 415 or 421.
   */
  precheck(request: RequestHead): void {
    this.#access.check(request);
    const { method, path, fields } = request;
    const isCommand = path === COMMAND_PATH;
    if (![COMMAND_PATH, EVENTS_PATH, FIND_PATH, MESSAGE_PATH].includes(path) && !Object.hasOwn(FILES, path)) {
      throw new HttpError(404, `Nothing is at ${path}`);
    }
    const allowed = isCommand ? ["POST"] : ["GET", "HEAD"];
    if (!allowed.includes(method)) {
      throw new HttpError(405, `${method} is not allowed on ${path}: use ${allowed.join(" or ")}`, {
        fields: [["Allow", allowed.join(", ")]],
      });
    }
    if (!METHODS_WITH_CONTENT.includes(method)) return;
    this.#access.requireOrigin(request);
    const type = fields.get("content-type") ?? "none";
    if (/^application\/json *(?:;|$)/i.test(type)) return;
    throw new HttpError(415, `A command is application/json, saw ${JSON.stringify(type)}`);
  }

  /** As {@linkcode Service.answer}. */
  async answer(request: RequestHead, content: Uint8Array, requester: Requester): Promise<HttpResponse> {
    this.precheck(request);
    switch (request.path) {
      case EVENTS_PATH:
        return secured(this.#events(request, requester));
      case MESSAGE_PATH:
        return secured(this.#message(request));
      case FIND_PATH:
        return secured(await this.#find(request));
      case COMMAND_PATH:
        return secured(json({ text: await this.#source.command(commandIn(content), requester.signal) }));
      default: {
        const hasKey = this.#access.check(request);
        return secured({ status: 200, ...FILES[request.path], fields: hasKey ? [this.#access.cookie] : [] });
      }
    }
  }

  /** As {@linkcode Service.errorResponse}: an error is one line of JSON. */
  errorResponse(error: HttpError): HttpResponse {
    const { status, message, fields } = error;
    return secured({ ...json({ error: message }), status, fields });
  }

  #events({ method, fields }: RequestHead, { signal }: Requester): HttpResponse {
    const response = { status: 200, contentType: "text/event-stream" };
    if (method === "HEAD") return response;
    return { ...response, content: this.#feed.stream(fields.get("last-event-id"), signal) };
  }

  #message({ query }: RequestHead): HttpResponse {
    const params = new URLSearchParams(query ?? "");
    const [connection, from, to] = ["connection", "from", "to"].map((name) => wholeNumber(params.get(name)));
    const direction = params.get("direction");
    if (
      connection === undefined || from === undefined || to === undefined || to < from ||
      direction !== "request" && direction !== "response"
    ) throw new HttpError(400, "A message is given by connection, direction, from and to");
    const method = params.get("method") ?? "";
    const whole = params.get("whole") === "true";
    const message = this.#source.message({ connection, direction, from, to, method, whole });
    if (message === undefined) throw new HttpError(404, "These octets are no longer kept");
    return json(message);
  }

  async #find({ query }: RequestHead): Promise<HttpResponse> {
    const text = new URLSearchParams(query ?? "").get("text") ?? "";
    if (text === "" || text.length > PAGE_FIND_CHARACTERS) {
      throw new HttpError(400, `A text to find has 1 to ${PAGE_FIND_CHARACTERS} characters, saw ${text.length}`);
    }
    return json({ places: await this.#source.find(text) });
  }
}

function secured(response: HttpResponse): HttpResponse {
  return { ...response, fields: [...response.fields ?? [], ...SECURITY_FIELDS] };
}

function json(value: unknown): HttpResponse {
  return { status: 200, contentType: "application/json", content: JSON.stringify(value) };
}

function wholeNumber(text: string | null): number | undefined {
  return /^\d{1,15}$/.test(text ?? "") ? Number(text) : undefined;
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
