/**
 * The page: what happens on the server's connections, drawn from the events that it streams, or a recording.
 */

import { inWords } from "./arrows.js";
import { drawLanes, followLanes } from "./lanes.js";
import { drawMessages, forgetMessages } from "./message.js";
import { keepPlace, openPlace, setView, view } from "./place.js";
import {
  clear,
  currentIndex,
  find,
  followNewest,
  goLive,
  goTo,
  hiddenText,
  newestTitles,
  setFilter,
  showConnection,
  shownEvents,
  step,
} from "./shown.js";
import { changed, MAX_CHIPS, receive, startOver, state, whenChanged } from "./state.js";
import { drawTable } from "./table.js";
import { counted, element, notice, part, shift } from "./text.js";

/** How long to wait before the server is asked again after it has refused, in milliseconds. */
const AGAIN_MS = 5000;
/** How often new exchanges are announced to those who hear the page, in milliseconds. */
const NEWS_MS = 3000;

const slider = /** @type {HTMLInputElement} */ (part("slider"));
const command = /** @type {HTMLInputElement} */ (part("command"));
const filter = /** @type {HTMLInputElement} */ (part("filter"));
const older = /** @type {HTMLSelectElement} */ (part("older"));
const legend = /** @type {HTMLDialogElement} */ (part("legend"));

whenChanged(({ push = false }) => {
  if (push && state.current === 0) followLanes();
  const list = shownEvents();
  followNewest(list);
  const at = currentIndex(list);
  drawChips();
  drawTime(list, at);
  drawLanes(list, at);
  drawTable(list[at], at + 1);
  drawMessages();
  keepPlace(push);
  find();
});

// Connections

function drawChips() {
  const { connections, shown } = state;
  const chips = part("connections");
  const numbers = [...connections.keys()].sort((a, b) => a - b).slice(-MAX_CHIPS);
  if (shown !== 0 && !numbers.includes(shown)) numbers.unshift(shown);
  const isMore = connections.size > numbers.length;
  older.hidden = !isMore;
  older.options[0].textContent = `⋯${connections.size}`;
  const wanted = [0, ...numbers];
  const drawn = wanted.map((number) => `${number} ${connections.get(number)?.open} ${number === shown}`).join();
  if (chips.dataset.drawn === drawn) return;
  chips.dataset.drawn = drawn;
  const hadFocus = chips.contains(document.activeElement);
  chips.replaceChildren(...wanted.map((number) => {
    const { open = false, peer = "" } = connections.get(number) ?? {};
    const chip = element("button", "", number === 0 ? "all" : String(number));
    const isOpen = state.recording ? "" : `, ${open ? "open" : "closed"}`;
    const name = number === 0 ? "All connections" : `Connection ${number}${peer && `, ${peer}`}${isOpen}`;
    Object.assign(chip, { ariaPressed: String(number === shown), ariaLabel: name, title: peer });
    if (open && !state.recording) chip.append(element("span", "dot"));
    chip.addEventListener("click", () => showConnection(number));
    return chip;
  }));
  const pressed = /** @type {HTMLElement} */ (chips.querySelector('[aria-pressed="true"]'));
  const seen = shown === 0 && state.current === 0 ? chips.lastElementChild ?? pressed : pressed;
  const [one, all] = [seen.getBoundingClientRect(), chips.getBoundingClientRect()];
  chips.scrollLeft += shift(one.left, one.right, all.left, all.right);
  if (hadFocus) pressed.focus();
}

/** Lists all connections that have events: done when the list is opened, for there may be thousands. */
function listOlder() {
  const numbers = [...state.connections.keys()].sort((a, b) => a - b);
  const options = numbers.map((number) => new Option(`connection ${number}`, String(number)));
  older.replaceChildren(older.options[0], ...options);
}

for (const type of ["pointerdown", "focus"]) older.addEventListener(type, listOlder);
older.addEventListener("change", () => {
  showConnection(Number(older.value));
  older.value = "";
});

// Time, and what is found

/** @param {import("./state.js").PageEvent[]} list @param {number} at */
function drawTime(list, at) {
  slider.max = String(Math.max(0, list.length - 1));
  slider.value = String(at);
  const position = list.length === 0 ? "no events" : `${at + 1} of ${list.length}`;
  part("position").textContent = position;
  slider.setAttribute("aria-valuetext", list.length === 0 ? position : `${position}: ${inWords(list[at])}`);
  const isLive = state.current === 0;
  part("live").setAttribute("aria-pressed", String(isLive));
  part("live").hidden = state.recording !== undefined;
  part("paused").textContent = isLive || state.recording ? "" : `paused · ${state.came} new`;
  part("hides").textContent = hiddenText();
}

part("back").addEventListener("click", () => step(-1));
part("forward").addEventListener("click", () => step(1));
part("live").addEventListener("click", () => state.current === 0 ? step(0) : goLive());
slider.addEventListener("input", () => goTo(Number(slider.value)));
filter.addEventListener("input", () => setFilter(filter.value));
part("clear").addEventListener("click", clear);

// The view

for (const hex of [false, true]) {
  part(hex ? "as-hex" : "as-text").addEventListener("click", () => {
    setView(hex, view.large);
    changed();
  });
}
part("large").addEventListener("click", () => {
  setView(view.hex, !view.large);
  changed();
});
part("legend-button").addEventListener("click", () => legend.showModal());
part("dismiss").addEventListener("click", () => notice(""));

// The command line

/** @type {string[]} */
const commands = [];
let recalled = 0;

/** @param {string} text @param {boolean} bad */
function answer(text, bad) {
  const output = part("answer");
  output.textContent = text;
  output.className = bad ? "mono bad" : "mono";
  // One line stays in the footer, more lie over the page until the next command.
  const isLong = text.includes("\n") || output.scrollWidth > output.clientWidth + 1;
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

// Paper

/** @param {boolean} isPrinting */
function print(isPrinting) {
  state.isPrinting = isPrinting;
  changed();
}

addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("print").addEventListener("change", ({ matches }) => print(matches));

// Keys

addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const typed = target === command ? command.value : target === filter ? filter.value : undefined;
  if (key === "?" && typed === undefined) {
    if (legend.open) legend.close();
    else legend.showModal();
    return event.preventDefault();
  }
  if (legend.open || event.shiftKey || target === older || typed) return;
  if (key === "Escape" && target === filter) return filter.blur();
  if (key === "/" && typed === undefined) {
    filter.focus();
    return event.preventDefault();
  }
  // What is too wide for its place is scrolled with these keys.
  const wide = target instanceof Element && target.closest(".scroll");
  if (wide && wide.scrollWidth > wide.clientWidth) return;
  const action = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => goTo(0), End: goLive }[key];
  if (action === undefined) return;
  event.preventDefault();
  action();
});

// To those who hear the page, new exchanges are announced now and then, not each.

let known = 0;
setInterval(() => {
  const count = [...state.connections.values()].reduce((sum, { newest }) => sum + newest, 0);
  if (state.current === 0 && count > known) {
    part("news").textContent = `${counted(count - known, "new exchange")}, the last one ${newestTitles().join(", ")}`;
  }
  known = count;
}, NEWS_MS);

// The stream of events

let lost = false;

/** @param {any} start */
function begin(start) {
  forgetMessages();
  startOver(start);
  const { recording } = state;
  // Only a recording has a date, if that is known.
  part("address").textContent = [start.name, start.date].filter((one) => one).join(" · ");
  part("address").title = part("address").textContent ?? "";
  part("example").textContent = `curl ${start.table?.startsWith("https") ? "--cacert FILE " : ""}${start.table}/`;
  command.placeholder = start.example ?? "";
  document.documentElement.classList.toggle("relay", start.relay !== undefined);
  part("clear").hidden = recording !== undefined;
  part("table-part").hidden = recording !== undefined || start.relay !== undefined;
  /** @type {HTMLElement} */ (document.querySelector("footer")).hidden = recording !== undefined;
  part("remarks").replaceChildren(...recording?.notes.map((note) => element("li", "", note)) ?? []);
  if (start.last < start.first) openPlace();
}

function follow() {
  const source = new EventSource("/live/events");
  source.addEventListener("start", (event) => begin(JSON.parse(event.data)));
  source.addEventListener("message", (event) => {
    const received = JSON.parse(event.data);
    receive(received);
    if (state.awaited > 0 && received.number >= state.awaited) openPlace();
  });
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
    const wasLost = lost;
    lost = true;
    if (source.readyState !== EventSource.CLOSED) {
      const ended = "The program has ended: this page shows what it had.";
      return notice(state.recording ? ended : "The server does not answer; trying again …");
    }
    const response = await fetch("/live/message").catch(() => undefined);
    if (response?.status === 403) {
      const { error } = await response.json();
      return notice(wasLost ? "The server was started again: open the address that it printed." : `${error}.`);
    }
    notice("The stream has ended; trying again …");
    setTimeout(follow, AGAIN_MS);
  });
}

// The key is in a cookie now, so that the address can be shown.
const query = new URLSearchParams(location.search);
if (query.has("key")) {
  query.delete("key");
  const rest = query.size > 0 ? `?${String(query).replace(/=(?=&|$)/g, "")}` : "";
  history.replaceState(null, "", `/${rest}${location.hash}`);
}
follow();
changed();
