/**
 * What passes a relay as it is, and may work otherwise than without one.
 *
 * @module
 */

import { hostOf } from "../address.ts";
import type { Finding, Message } from "../exchange.ts";
import { maskTarget } from "../masking.ts";
import type { HostChange } from "./gate.ts";

/** Returns what the server may take amiss in a request whose Host was changed. */
export function requestFindings({ head }: Message, change: HostChange | undefined): Finding[] {
  const origin = head?.fields.get("origin");
  if (origin === undefined || change === undefined || origin === "null") return [];
  const host = URL.parse(origin)?.host;
  if (host === undefined || host === URL.parse(`http://${change.to}`)?.host) return [];
  const text = `Origin is ${origin}, Host has become ${change.to}: the server may refuse the request as another site's`;
  return [{ text, rule: "RFC 6454 §7" }];
}

/**
 * Returns what leads a browser elsewhere, or what it refuses, in a response.
 *
 * @param secure Whether the relay speaks TLS with its clients.
 */
export function responseFindings({ head, exchange }: Message, secure: boolean): Finding[] {
  const authority = exchange.request?.head?.authority;
  if (head === undefined || authority === undefined) return [];
  const findings: Finding[] = [];
  const location = head.fields.get("location");
  const relay = URL.parse(`${secure ? "https" : "http"}://${authority}`);
  const target = location === undefined ? null : URL.parse(location, relay?.href);
  if (relay !== null && target !== null && target.origin !== relay.origin) {
    const text = `Location leaves the relay: ${maskTarget(location!)} is not at ${relay.origin}`;
    findings.push({ text, rule: "RFC 9110 §10.2.2" });
  }
  if (secure && hostOf(authority) === "localhost" && head.fields.get("strict-transport-security") !== undefined) {
    const text = "Strict-Transport-Security pins localhost to https in this browser, on every port";
    findings.push({ text, rule: "RFC 6797 §8.3" });
  }
  for (const [name, value] of head.fields) {
    if (name.toLowerCase() !== "set-cookie") continue;
    const domain = /;[ \t]*domain[ \t]*=[ \t]*\.?([^;\s]+)/i.exec(value)?.[1].toLowerCase();
    const host = hostOf(authority);
    if (domain === undefined || host === domain || host.endsWith(`.${domain}`)) continue;
    const text = `a browser at ${host} refuses the cookie ${
      value.slice(0, value.search(/[=;]|$/))
    }: its Domain is ${domain}`;
    findings.push({ text, rule: "RFC 6265 §5.3" });
  }
  return findings;
}
