/**
 * Three nodes of etcd on this machine, to try a table in a cluster. A node's number and Enter kills it, once more starts
 * it again; Ctrl-C ends all and removes their data.
 */

import { ETCD_MISSING, EtcdNodes } from "./store/etcd_nodes.ts";

if (ETCD_MISSING !== undefined) {
  console.error(ETCD_MISSING);
  Deno.exit(1);
}
const nodes = await EtcdNodes.start({ syncs: true });
Deno.addSignalListener("SIGINT", async () => {
  await nodes[Symbol.asyncDispose]();
  Deno.exit(0);
});
console.log(
  `serve --store ${nodes.store}\n1, 2 or 3 and Enter kills a node, once more starts it again; Ctrl-C ends all`,
);
const killed = new Set<number>();
for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const i = Number(line.trim()) - 1;
  if (nodes.urls[i] === undefined) {
    console.log(`expected 1 to ${nodes.count} and Enter, saw ${JSON.stringify(line.trim())}`);
  } else if (killed.delete(i)) {
    nodes.launch(i);
    console.log(`node ${i + 1} starts`);
  } else {
    await nodes.signal(i, "SIGKILL");
    killed.add(i);
    console.log(`node ${i + 1} is killed`);
  }
}
await nodes[Symbol.asyncDispose]();
