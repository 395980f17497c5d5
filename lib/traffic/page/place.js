/**
 * The place in the address: `#c2e14` for the 14th exchange of connection 2, nothing while live; and the view in the
 * query. It survives a reload, is gone back to, and can be given to others who have the page open.
 */

import { exchangeAt, goLive, goTo, newestTitles, openExchange, showConnection, shownEvents } from "./shown.js";
import { state } from "./state.js";
import { notice, part } from "./text.js";

/** So often, in milliseconds, the address may change: browsers refuse more. */
const WRITE_MS = 100;

/** How octets and letters are shown. */
export const view = { hex: false, large: false };

let isOpening = false;
let writable = 0;
let isWaiting = false;

function placeShown() {
  const { chosen, current, events, shown } = state;
  const query = [
    ...view.hex ? ["hex"] : [],
    ...view.large ? ["large"] : [],
    ...shown > 0 ? [`connection=${shown}`] : [],
  ];
  const connection = chosen?.connection ?? events.find(({ number }) => number >= current)?.connection ?? 0;
  const place = current === 0 ? "" : `#c${connection}${chosen ? `e${chosen.exchange}` : ""}`;
  return `/${query.length > 0 ? `?${query.join("&")}` : ""}${place}`;
}

/** Writes the place into the address, and the window's title. @param {boolean} push Whether one can go back from it. */
export function keepPlace(push) {
  if (state.awaited > 0) return;
  document.title = [state.name, newestTitles().join(" ")].filter((one) => one !== "").join(" · ");
  const place = placeShown();
  if (place === location.pathname + location.search + location.hash) return;
  if (push && !isOpening) return history.pushState(null, "", place);
  const wait = writable - performance.now();
  if (wait <= 0) {
    history.replaceState(null, "", place);
    writable = performance.now() + WRITE_MS;
  } else if (!isWaiting) {
    isWaiting = true;
    setTimeout(() => {
      isWaiting = false;
      keepPlace(false);
    }, wait);
  }
}

/** Opens what the address names, once all that has happened before is here; what is unknown opens live, and says so. */
export function openPlace() {
  state.awaited = 0;
  isOpening = true;
  open();
  isOpening = false;
}

function open() {
  const query = new URLSearchParams(location.search);
  setView(query.has("hex"), query.has("large"));
  const shown = Number(query.get("connection") ?? 0);
  state.shown = state.connections.has(shown) ? shown : 0;
  const [, number, exchange] = /^#c(\d{1,9})(?:e(\d{1,9}))?$/.exec(location.hash) ?? [];
  const connection = state.connections.get(Number(number));
  const known = exchangeAt(connection && { connection: connection.number, exchange: Number(exchange) });
  if (state.shown !== 0 && connection !== undefined && connection.number !== state.shown) state.shown = 0;
  if (known !== undefined) return openExchange(known.connection, known.exchange);
  if (connection !== undefined && exchange === undefined) {
    state.shown = 0;
    return goTo(shownEvents().findIndex((event) => event.connection === connection.number));
  }
  const { recording } = state;
  if (location.hash !== "") {
    const what = /^#c(\d+)e(\d+)$/.test(location.hash)
      ? `There is no exchange ${exchange} of connection ${number} here`
      : `${location.hash.slice(0, 40)} names no exchange here`;
    notice(`${what}: this is ${recording ? "the first one" : "live"}`);
  }
  history.replaceState(null, "", location.pathname + location.search);
  if (recording === undefined) goLive();
  else showConnection(state.shown);
}

/** @param {boolean} hex @param {boolean} large */
export function setView(hex, large) {
  Object.assign(view, { hex, large });
  document.documentElement.classList.toggle("large", large);
  part("large").setAttribute("aria-pressed", String(large));
  part("as-hex").setAttribute("aria-pressed", String(hex));
  part("as-text").setAttribute("aria-pressed", String(!hex));
}

for (const type of ["popstate", "hashchange"]) {
  addEventListener(type, () => {
    // The page itself has written it, or both events say the same.
    if (state.awaited === 0 && placeShown() !== location.pathname + location.search + location.hash) openPlace();
  });
}
