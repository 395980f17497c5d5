/**
 * The table in an etcd cluster over `Deno.serve`, as one writes it at first: each request is one `fetch` of a node's
 * gateway, a transaction for a PUT, a range for a GET. Started with the URL of a node.
 */

const [node] = Deno.args;
const INIT = { headers: { "Content-Type": "application/json" } };
let origin = 0;

async function ask(path: string, body: string) {
  const response = await fetch(`${node}${path}`, { method: "POST", ...INIT, body });
  if (!response.ok) throw new Error(await response.text());
  return await response.json();
}

async function put(path: string, request: Request): Promise<Response> {
  const body = await request.text();
  await ask("/v3/kv/txn", `{"success":[{"request_put":{"key":"${btoa(`peer${path}`)}","value":"${btoa(body)}"}}]}`);
  return new Response(body, INIT);
}

async function get(path: string): Promise<Response> {
  const { kvs } = await ask("/v3/kv/range", `{"key":"${btoa(`peer${path}`)}"}`);
  return kvs === undefined ? new Response(null, { status: 404 }) : new Response(atob(kvs[0].value), INIT);
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => {
    origin = `http://127.0.0.1:${port}`.length;
    console.log(`http://127.0.0.1:${port}/`);
  },
}, (request) => {
  const path = request.url.slice(origin);
  return request.method === "PUT" ? put(path, request) : get(path);
});
