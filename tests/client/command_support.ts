import type { Command } from "../../lib/client/command.ts";
import { type AskedField, filesOf, type Order, requestOf, type TableWords } from "../../lib/client/items.ts";
import type { HttpRequest } from "../../lib/http/message.ts";
import { FILTER_OPERATORS } from "../../lib/table/row_schema.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";

/** A server. */
export const SERVER: TableWords["server"] = {
  endpoint: { secure: false, host: "127.0.0.1", port: 9999 },
  commandLine: (args) => `RUN ${args.join(" ")}`,
  insecureAdvice: "",
};

export const PLAIN = tableWords("type,age,leg");
export const TYPED = tableWords("type:string,age:integer,tame:boolean");
export const FREE = tableWords("*");
export function tableWords(fields: string): TableWords {
  return { fields: RowSchema.parse(fields).fields, filterOperators: FILTER_OPERATORS, server: SERVER };
}

/** A request in one line: method, target, fields, content. */
export function show({ method, target, fields, content }: HttpRequest): string {
  const parts = [method, target, ...fields.map(([name, value]) => `(${name}: ${value})`)];
  if (content !== undefined) parts.push(new TextDecoder().decode(content));
  return parts.join(" ");
}

/** Shows a request; each of its files holds its own name. */
export function showOrder(order: Order, table = PLAIN, session: AskedField[][] = []): string {
  const files = new Map(filesOf(order, session).map((name) => [name, new TextEncoder().encode(name)]));
  const { request, contentFrom } = requestOf(order, session, table, files);
  const shown = contentFrom === undefined
    ? show(request)
    : `${show({ ...request, content: undefined })} < ${contentFrom}`;
  // The usual type is left out.
  return shown.replace(" (Content-Type: application/json)", "");
}

export function showCommand(command: Command, table?: TableWords): string {
  if (command.kind === "header") return `header ${JSON.stringify([command.field, command.dropped])}`;
  if (command.kind !== "request") return command.kind;
  return showOrder(command.order, table);
}
