/** A server that follows a script, and a session with it. */

import { type ClientEvent, type ClientOptions, Session } from "../../lib/client.ts";
import type { HttpRequest } from "../../lib/http/message.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

export const OK: string = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export function request(method = "GET", content?: string): HttpRequest {
  return {
    method,
    target: "/a",
    fields: [["Host", "h"]],
    content: content === undefined ? undefined : wireOctets(content),
  };
}

/** The prefix of an answer that is one write; others are written octet by octet. */
export const TOGETHER: string = "together: ";

/**
 * A server that answers the requests of each connection from a script: octets to send, `close` to close the connection,
 * or `silence` for no answer. After `now `, no request is awaited.
 */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: string[] = [];
  readonly port: number;
  readonly #listener: Deno.Listener;
  readonly #conns: Deno.Conn[] = [];
  readonly #done: Promise<void>;

  constructor(...script: string[][]) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#done = this.#run(script);
  }

  async #run(script: string[][]): Promise<void> {
    for (const answers of script) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch {
        return;
      }
      this.#conns.push(conn);
      await this.#serve(conn, answers);
    }
  }

  async #serve(conn: Deno.Conn, answers: string[]): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    for (const step of answers) {
      const [, now, answer] = /^(now )?([^]*)$/.exec(step)!;
      if (now === undefined && answer !== "close now") {
        const count = await conn.read(buffer).catch(() => null);
        if (count === null) return;
        this.requests.push(octetString(buffer.subarray(0, count)));
      }
      if (answer === "silence") continue;
      if (answer.startsWith("close")) return conn.close();
      if (answer.startsWith(TOGETHER)) await conn.write(wireOctets(answer.slice(TOGETHER.length)));
      else for (const octet of wireOctets(answer)) await conn.write(new Uint8Array([octet]));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch {
        // Closed by the script.
      }
    }
    await this.#done;
  }
}

export function sessionWith(port: number, options: Partial<ClientOptions> = {}): Session & Disposable {
  const session = new Session({ secure: false, host: "127.0.0.1", port }, { timeoutMs: 10_000, ...options });
  return Object.assign(session, { [Symbol.dispose]: () => session.close() });
}

/** Formats events in short: notices in parentheses, statuses followed by their content. */
export async function show(events: AsyncIterable<ClientEvent>): Promise<string> {
  const shown: string[] = [];
  for await (const event of events) {
    if (event.kind === "notice") shown.push(`(${event.text})`);
    else if (event.kind === "response") shown.push(String(event.status));
    else if (event.kind === "sent") continue;
    else if (event.kind === "content") shown[shown.length - 1] += octetString(event.bytes);
    else shown.push("end");
  }
  return shown.join(" | ");
}
