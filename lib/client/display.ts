/** Shows the selected parts of requests and responses to a user. */

import { Buffer } from "node:buffer";
import { octetString, withRule } from "../bytes.ts";
import type { ClientEvent } from "../client.ts";
import type { ContentView } from "../content.ts";
import { acceptedIn, LF } from "../http_message.ts";
import { maskCredentials } from "../masking.ts";
import { escapeOctets, type Painter, showHead } from "../terminal.ts";
import type { ProcessScreen } from "./output.ts";

export interface DisplayOptions {
  readonly screen: Pick<ProcessScreen, "terminal" | "columns" | "write" | "flush" | "note">;
  /** The parts shown, of HBhb; by default `hb` on a terminal, in a pipe the content, or the head if that is all. */
  readonly print: string | undefined;
  /** Whether a person types at a prompt, which has banners. */
  readonly interactive: boolean;
  /** Whether JSON is indented and binary content is not shown; otherwise content is shown as received. */
  readonly pretty: "all" | "none" | "auto";
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
  #method = "";
  #view: ContentView | undefined;
  /**
   * Whether piped content did not end with a line end: one is added before other output, so that a script can separate
   * two responses, and at the input's end; none is added after a single command.
   */
  #midLine = false;

  constructor(private readonly options: DisplayOptions) {
    this.print = options.print;
  }

  async show(event: ClientEvent): Promise<void> {
    const { screen, painter, accepted } = this.options;
    switch (event.kind) {
      case "notice":
        return await screen.note(`(${event.text})`);
      case "sent":
        return await this.#showRequest(event);
      case "content":
        return this.#shows("b") ? await this.#showContent(event.bytes) : undefined;
      case "response":
        if (this.#shows("hb")) await this.banner("-----RESPONSE-----");
        this.#view = await this.#viewOf(event.fields.get("content-type"), event.fields.get("content-encoding"));
        if (this.#shows("h")) await this.#showHead(event.text);
        break;
      case "end":
        if (this.#shows("b")) await this.endContent();
        if (event.trailers.size > 0 && this.#shows("h")) {
          await this.write(`${painter("dim", "-----TRAILERS-----")}\n`);
          await this.#showHead(event.trailers.lines);
        }
    }
    for (const { text, rule } of acceptedIn(event)) accepted?.(withRule(text, rule));
  }

  /** Shows the rest of the content, of which some may be held: at its end, or when no more of it comes. */
  async endContent(): Promise<void> {
    const view = this.#view;
    this.#view = undefined;
    if (view === undefined) return;
    await view.end();
    this.#midLine = !view.endsLine;
  }

  /** Shows the start of what was received, but is no valid response. */
  async showInvalid(octets: string): Promise<void> {
    if (!this.#shows("h") || octets === "") return;
    await this.banner("-----RESPONSE-----");
    await this.#showMasked(octets, escapeOctets);
    await this.endLine();
  }

  /** Writes text on its own line. */
  async write(text: string): Promise<void> {
    await this.endLine();
    await this.options.screen.write(ENCODER.encode(text));
  }

  async endLine(): Promise<void> {
    if (this.#midLine) await this.options.screen.write(ENCODER.encode("\n"));
    this.#midLine = false;
  }

  async banner(text: string): Promise<void> {
    if (this.options.interactive) await this.write(`${this.options.painter("dim", text)}\n`);
  }

  get showsHeads(): boolean {
    return this.#shows("Hh");
  }

  /** Whether nothing is shown of a response without content. */
  get showsContentOnly(): boolean {
    return this.#shows("b") && !this.#shows("h");
  }

  #shows(parts: string): boolean {
    const { screen } = this.options;
    const print = this.print ?? (screen.terminal ? "hb" : HEAD_METHODS.includes(this.#method) ? "h" : "b");
    return [...parts].some((part) => print.includes(part));
  }

  async #showRequest({ head, content }: ClientEvent & { kind: "sent" }): Promise<void> {
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
    await this.#showMasked(head, (masked) => showHead(masked, this.options.painter));
  }

  /** Shows octets without credentials: as safe text on a terminal, exactly otherwise. */
  async #showMasked(octets: string, safeText: (masked: string) => string): Promise<void> {
    const { screen, showCredentials } = this.options;
    const masked = showCredentials ? octets : maskCredentials(octets);
    await this.endLine();
    await screen.write(screen.terminal ? ENCODER.encode(safeText(masked)) : Buffer.from(masked, "latin1"));
    this.#midLine = !masked.endsWith("\n");
  }

  async #showContent(octets: Uint8Array): Promise<void> {
    if (this.#view !== undefined) return await this.#view.add(octets);
    // The content may be large: it is not converted to text.
    await this.options.screen.write(octets);
    this.#midLine = octets.at(-1) !== LF;
  }

  /** Creates a view of content; `undefined` if it is written as received. */
  async #viewOf(type?: string, coding?: string): Promise<ContentView | undefined> {
    const { screen, pretty, painter } = this.options;
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
