import { EtcdStore } from "../../lib/store/etcd.ts";
import { testStore } from "./contract.ts";
import { ETCD_MISSING, EtcdNodes } from "./etcd_nodes.ts";

let nodes: EtcdNodes;
let prefixes = 0;

Deno.test.beforeAll(async () => {
  if (ETCD_MISSING === undefined) nodes = await EtcdNodes.start();
});
Deno.test.afterAll(() => nodes?.[Symbol.asyncDispose]());

function open(prefix = `t${++prefixes}`): EtcdStore {
  return new EtcdStore({ nodes: nodes.urls, prefix });
}

testStore("etcd", open, { sorted: true, missing: ETCD_MISSING });
