/**
 * The measure of fast: a loop over `Deno.listen` that parses nothing and answers every read with the same bytes.
 * Its argument is the answer, each character an octet.
 */

const answer = Uint8Array.from(atob(Deno.args[0]), (octet) => octet.charCodeAt(0));
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`);

async function serve(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    while (await conn.read(buffer) !== null) {
      for (let sent = 0; sent < answer.length;) sent += await conn.write(answer.subarray(sent));
    }
  } catch {
    // The client is gone.
  }
  conn.close();
}

for await (const conn of listener) serve(conn);
