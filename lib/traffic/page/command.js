/**
 * The command line: sends commands as the prompt does, and shows what the server says of them.
 */

import { goLive } from "./shown.js";
import { part } from "./text.js";

const command = /** @type {HTMLInputElement} */ (part("command"));
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
