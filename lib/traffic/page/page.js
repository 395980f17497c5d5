/**
 * The page: what happens on the server's connections, drawn from the events that it streams.
 */

import { drawLanes, followLanes, inWords } from "./lanes.js";
import { drawMessage, forgetMessage } from "./message.js";
import {
  changed,
  chooseAt,
  chooseNewest,
  currentIndex,
  exchangeOf,
  MAX_CHIPS,
  shownEvents,
  startOver,
  state,
  take,
  whenChanged,
} from "./state.js";
import { drawTable } from "./table.js";
import { element, notice, part, shift } from "./text.js";

/** How long to wait before the server is asked again after it has refused, in milliseconds. */
const AGAIN_MS = 5000;

const slider = /** @type {HTMLInputElement} */ (part("slider"));
const command = /** @type {HTMLInputElement} */ (part("command"));
const older = /** @type {HTMLSelectElement} */ (part("older"));

whenChanged(() => {
  const list = shownEvents();
  const at = currentIndex(list);
  drawChips();
  drawTime(list, at);
  drawLanes(list, at);
  drawTable(list[at], at + 1);
  drawMessage();
});

// Connections

function drawChips() {
  const { connections, shown } = state;
  const chips = part("connections");
  const numbers = [...connections.keys()].sort((a, b) => a - b).slice(-MAX_CHIPS);
  if (shown !== 0 && !numbers.includes(shown)) numbers.unshift(shown);
  older.hidden = connections.size <= numbers.length;
  const wanted = [0, ...numbers];
  const drawn = wanted.map((number) => `${number} ${connections.get(number)?.open} ${number === shown}`).join();
  if (chips.dataset.drawn === drawn) return;
  chips.dataset.drawn = drawn;
  const hadFocus = chips.contains(document.activeElement);
  chips.replaceChildren(...wanted.map((number) => {
    const open = connections.get(number)?.open === true;
    const chip = element("button", "", number === 0 ? "all" : String(number));
    const name = number === 0 ? "All connections" : `Connection ${number}, ${open ? "open" : "closed"}`;
    chip.setAttribute("aria-pressed", String(number === shown));
    chip.setAttribute("aria-label", name);
    if (open) chip.append(element("span", "dot"));
    chip.addEventListener("click", () => showConnection(number));
    return chip;
  }));
  const pressed = /** @type {HTMLElement} */ (chips.querySelector('[aria-pressed="true"]'));
  const [one, all] = [pressed.getBoundingClientRect(), chips.getBoundingClientRect()];
  chips.scrollLeft += shift(one.left, one.right, all.left, all.right);
  if (hadFocus) pressed.focus();
}

/** @param {number} number */
function showConnection(number) {
  state.shown = number;
  if (state.current === 0) return goLive();
  goTo(currentIndex(shownEvents()));
}

/** Lists all connections that have events: done when the list is opened, for there may be thousands. */
function listOlder() {
  const numbers = [...state.connections.keys()].sort((a, b) => a - b);
  const options = numbers.map((number) => {
    const option = /** @type {HTMLOptionElement} */ (element("option", "", `connection ${number}`));
    option.value = String(number);
    return option;
  });
  older.replaceChildren(older.options[0], ...options);
}

for (const type of ["pointerdown", "focus"]) older.addEventListener(type, listOlder);
older.addEventListener("change", () => {
  showConnection(Number(older.value));
  older.value = "";
});

// Time

/** @param {import("./state.js").Told[]} list @param {number} at */
function drawTime(list, at) {
  slider.max = String(Math.max(0, list.length - 1));
  slider.value = String(at);
  const position = list.length === 0 ? "no events" : `${at + 1} of ${list.length}`;
  part("position").textContent = position;
  slider.setAttribute("aria-valuetext", list.length === 0 ? position : `${position}: ${inWords(list[at])}`);
  part("live").setAttribute("aria-pressed", String(state.current === 0));
}

/** @param {number} index */
function goTo(index) {
  const list = shownEvents();
  const at = Math.max(0, Math.min(list.length - 1, index));
  const event = list[at];
  if (event === undefined) return;
  state.current = event.number;
  // What belongs to no message leaves the one before it open.
  for (let i = at; i >= 0; i--) {
    const connection = state.connections.get(list[i].connection);
    const exchange = connection && exchangeOf(connection, list[i]);
    if (!connection || !exchange) continue;
    chooseAt(connection, exchange, list[i]);
    break;
  }
  changed();
}

/** @param {number} by */
function step(by) {
  goTo(currentIndex(shownEvents()) + by);
}

function goLive() {
  state.current = 0;
  followLanes();
  const connection = state.connections.get(state.shown) ??
    state.connections.get(state.events.findLast(({ exchanges }) => exchanges)?.connection ?? 0);
  const exchange = [...connection?.exchanges.values() ?? []].at(-1);
  if (connection && exchange) chooseNewest(connection, exchange);
  changed();
}

part("back").addEventListener("click", () => step(-1));
part("forward").addEventListener("click", () => step(1));
part("live").addEventListener("click", () => state.current === 0 ? step(0) : goLive());
slider.addEventListener("input", () => goTo(Number(slider.value)));
part("large").addEventListener("click", () => {
  const large = document.documentElement.classList.toggle("large");
  part("large").setAttribute("aria-pressed", String(large));
  changed();
});
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target === older || event.target === command && command.value !== "") return;
  // What is too wide for its place is scrolled with these keys.
  const wide = event.target instanceof Element && event.target.closest(".scroll");
  if (wide && wide.scrollWidth > wide.clientWidth) return;
  const action = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Home: () => goTo(0),
    End: goLive,
  }[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
});

// Commands

/** @type {string[]} */
const commands = [];
let recalled = 0;

/** @param {string} text @param {boolean} bad */
function answer(text, bad) {
  const output = part("answer");
  output.textContent = text;
  output.className = bad ? "mono bad" : "mono";
  const isLong = text.includes("\n");
  output.classList.toggle("long", isLong);
  part("close").hidden = !isLong;
  // It is scrolled with the keys.
  if (isLong) output.tabIndex = 0;
  else output.removeAttribute("tabindex");
}

part("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const line = command.value.trim();
  if (line === "") return;
  commands.push(line);
  recalled = commands.length;
  command.value = "";
  answer("…", false);
  goLive();
  try {
    const response = await fetch("/live/command", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ command: line }),
    });
    const { text, error } = await response.json();
    answer(text ?? error, !response.ok);
  } catch {
    answer("The server does not answer", true);
  }
});
part("close").addEventListener("click", () => {
  answer("", false);
  command.focus();
});
command.addEventListener("keydown", (event) => {
  if (event.key === "Escape") answer("", false);
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  recalled = Math.max(0, Math.min(commands.length, recalled + (event.key === "ArrowUp" ? -1 : 1)));
  command.value = commands[recalled] ?? "";
});

// The stream of events

let lost = false;

function follow() {
  const source = new EventSource("/live/events");
  source.addEventListener("start", (event) => {
    forgetMessage();
    startOver(JSON.parse(event.data));
  });
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("open", () => {
    if (lost) notice("");
    lost = false;
  });
  // Were it to come back, it would take the place of another page that is open.
  source.addEventListener("replaced", () => {
    source.close();
    notice("Another page has taken this one's place, for four may be open: reload this one to follow again.");
  });
  source.addEventListener("error", async () => {
    lost = true;
    if (source.readyState !== EventSource.CLOSED) return notice("The server does not answer; trying again …");
    const status = (await fetch("/live/events", { method: "HEAD" }).catch(() => undefined))?.status;
    if (status === 403) return notice("The server was started again: open the address that it printed.");
    notice("The stream has ended; trying again …");
    setTimeout(follow, AGAIN_MS);
  });
}

// The key is in a cookie now, so that the address can be shown.
history.replaceState(null, "", "/");
follow();
changed();
