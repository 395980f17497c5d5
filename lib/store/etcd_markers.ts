/**
 * The markers of lanes that nobody uses any more: each server that writes leaves some behind.
 *
 * @module
 */

import { CLUSTER_TXN_OPERATIONS } from "../limits.ts";
import type { EtcdCluster } from "./etcd_cluster.ts";
import { decode, type RangeAnswer, rangeRequest, remove, transaction, writtenAt } from "./etcd_messages.ts";

/** How long a marker of a lane that nobody uses stays in the cluster. */
const CLUSTER_MARKER_MS = 7 * 24 * 60 * 60 * 1000;

/** Markers that are removed at once. */
const MOST_REMOVALS = CLUSTER_TXN_OPERATIONS - 1;

/**
 * Removes markers that are old, but never the latest one, which tells the table's revision. A server that was idle for
 * so long begins a lane anew.
 *
 * @param now The time in milliseconds since 1970.
 * @throws {EtcdError}
 */
export async function removeOldMarkers(cluster: EtcdCluster, now: number): Promise<void> {
  const [start, end] = cluster.keys.markers;
  const { kvs = [] } = await cluster.ask<RangeAnswer>("/v3/kv/range", rangeRequest(start, { range_end: end }));
  const latest = Math.max(...kvs.map(({ mod_revision }) => Number(mod_revision)));
  const old = kvs.filter(({ value, mod_revision }) => {
    const writtenMs = Number(decode(value).split(" ")[1]);
    return Number(mod_revision) < latest && writtenMs < now - CLUSTER_MARKER_MS;
  });
  for (let i = 0; i < old.length; i += MOST_REMOVALS) {
    const some = old.slice(i, i + MOST_REMOVALS);
    // One that was written meanwhile is in use.
    const unchanged = some.map(({ key, mod_revision }) => writtenAt(key, Number(mod_revision)));
    await cluster.transact(transaction(unchanged, some.map(({ key }) => remove(key))));
  }
}
