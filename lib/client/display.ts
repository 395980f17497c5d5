/** Shows the selected parts of requests and responses to a user. */

import { Buffer } from "node:buffer";
import { octetsToText, octetString } from "../bytes.ts";
import type { ClientEvent, SentRequest } from "../client.ts";
import type { ContentView } from "../content.ts";
import { acceptedIn, LF } from "../http_message.ts";
import { MAX_SHOWN_INVALID_OCTETS } from "../limits.ts";
import { maskCredentials } from "../masking.ts";
import { escapeOctet, escapeText, type Painter, showHead } from "../terminal.ts";

export interface Screen {
  /** Whether it is a terminal. Data from the server is escaped on a terminal, and exact otherwise. */
  readonly terminal: boolean;
  readonly columns: () => number;
  write(octets: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  /** Writes a line for the user that is not part of a message: beside the output if that is not a terminal. */
  note(line: string): Promise<void>;
}

export interface DisplayOptions {
  readonly screen: Screen;
  /**
   * The parts shown: `H` and `B` of the request, `h` and `b` of the response. The default is `hb` on a terminal; when
   * piped, the content, or the head for methods whose response has only a head.
   */
  readonly print: string | undefined;
  /** Whether a person types at a prompt, which has banners. */
  readonly interactive: boolean;
  /** Whether JSON is indented and binary content is not shown; otherwise content is shown as received. */
  readonly pretty: "all" | "none" | "auto";
  /** Whether credentials (Authorization, Cookie and the like) are shown. */
  readonly showCredentials: boolean;
  readonly painter: Painter;
  /** Receives what is accepted in a response, though it breaks a rule: a sentence. */
  readonly accepted?: (sentence: string) => void;
}

const ENCODER = new TextEncoder();
/** Methods whose response has only a head. */
const HEAD_METHODS = ["HEAD", "OPTIONS"];

export class Display {
  print: string | undefined;
  readonly #options: DisplayOptions;
  #method = "";
  #view: ContentView | undefined;
  /**
   * Whether piped content did not end with a line end. One is added before the next output, so that a script can
   * separate two responses, and at the end of the input; none is added after a single command.
   */
  #midLine = false;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.print = options.print;
  }

  async show(event: ClientEvent): Promise<void> {
    await this.#show(event);
    if (event.kind !== "response" && event.kind !== "end") return;
    for (const { text, rule } of acceptedIn(event)) this.#options.accepted?.(`${text} (${rule})`);
  }

  async #show(event: ClientEvent): Promise<void> {
    switch (event.kind) {
      case "notice":
        return await this.#options.screen.note(`(${event.text})`);
      case "sent":
        return await this.#showRequest(event);
      case "response":
        if (this.#shows("hb")) await this.banner("-----RESPONSE-----");
        this.#view = await this.#viewOf(event.fields.get("content-type"), event.fields.get("content-encoding"));
        return this.#shows("h") ? await this.#showHead(event.text) : undefined;
      case "content":
        return this.#shows("b") ? await this.#showContent(event.bytes) : undefined;
      case "end":
        if (this.#shows("b")) await this.endContent();
        if (event.trailers.size === 0 || !this.#shows("h")) return;
        await this.write(`${this.#options.painter("dim", "-----TRAILERS-----")}\n`);
        await this.#showHead(event.trailers.lines);
    }
  }

  /** Shows the rest of the content, of which some may be held: at its end, or when no more of it comes. */
  async endContent(): Promise<void> {
    const view = this.#view;
    this.#view = undefined;
    if (view === undefined) return;
    await view.end();
    this.#midLine = !view.endsLine;
  }

  /** Shows received octets that are not a valid response, up to a limit. */
  async showInvalid(octets: Uint8Array): Promise<void> {
    if (!this.#shows("h") || octets.length === 0) return;
    await this.banner("-----RESPONSE-----");
    const shown = octetString(octets, 0, Math.min(octets.length, MAX_SHOWN_INVALID_OCTETS));
    const text = await this.#writeMasked(shown, (masked) => escapeText(octetsToText(masked, escapeOctet)));
    this.#midLine = !text.endsWith("\n");
    await this.endLine();
  }

  /** Writes text on its own line. */
  async write(text: string): Promise<void> {
    await this.endLine();
    await this.#options.screen.write(ENCODER.encode(text));
  }

  async endLine(): Promise<void> {
    if (this.#midLine) await this.#options.screen.write(ENCODER.encode("\n"));
    this.#midLine = false;
  }

  async banner(text: string): Promise<void> {
    if (this.#options.interactive) await this.write(`${this.#options.painter("dim", text)}\n`);
  }

  get showsHeads(): boolean {
    return this.#shows("Hh");
  }

  #shows(parts: string): boolean {
    const { screen } = this.#options;
    const print = this.print ?? (screen.terminal ? "hb" : HEAD_METHODS.includes(this.#method) ? "h" : "b");
    return [...parts].some((part) => print.includes(part));
  }

  async #showRequest({ head, content }: SentRequest): Promise<void> {
    const text = octetString(head);
    this.#method = text.slice(0, text.indexOf(" "));
    await this.endLine();
    if (this.#shows("HB")) await this.banner("-----REQUEST-----");
    if (this.#shows("H")) await this.#showHead(text);
    if (content.length === 0 || !this.#shows("B")) return;
    this.#view = await this.#viewOf(/^content-type:[ \t]*(.*?)[ \t]*\r$/im.exec(text)?.[1]);
    await this.#showContent(content);
    await this.endContent();
  }

  async #showHead(head: string): Promise<void> {
    await this.#writeMasked(head, (masked) => showHead(masked, this.#options.painter));
  }

  /** Writes octets without credentials: as safe text on a terminal, exactly otherwise. Returns them. */
  async #writeMasked(octets: string, safeText: (masked: string) => string): Promise<string> {
    const { screen, showCredentials } = this.#options;
    const masked = showCredentials ? octets : maskCredentials(octets);
    await this.endLine();
    await screen.write(screen.terminal ? ENCODER.encode(safeText(masked)) : Buffer.from(masked, "latin1"));
    return masked;
  }

  async #showContent(octets: Uint8Array): Promise<void> {
    if (this.#view !== undefined) return await this.#view.add(octets);
    // The content may be large: it is not converted to text.
    await this.#options.screen.write(octets);
    this.#midLine = octets.at(-1) !== LF;
  }

  /** Creates a view of content; `undefined` if it is written as received. */
  async #viewOf(type?: string, coding?: string): Promise<ContentView | undefined> {
    const { screen, pretty, painter } = this.#options;
    if (!screen.terminal && pretty !== "all") return undefined;
    const { ContentView } = await import("../content.ts");
    return new ContentView({
      ...{ type, coding, painter, columns: screen.columns() },
      indent: pretty === "all" ? "always" : pretty === "none" ? "never" : "long",
      write: (text) => screen.write(ENCODER.encode(text)),
      ...!screen.terminal && {
        writeExactly: (octets: Uint8Array) => screen.write(octets),
        note: (line: string) => screen.note(line),
      },
    });
  }
}
