import { DatabaseSync } from "node:sqlite";

/** Writes to a file as another program does. */
export function meddle(file: string, sql: string): void {
  const other = new DatabaseSync(file);
  other.exec(sql);
  other.close();
}
