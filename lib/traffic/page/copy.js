/**
 * What leaves the page: octets that are copied, and paper.
 */

import { shownMessages } from "./message.js";
import { changed, state } from "./state.js";
import { hexOf, part } from "./text.js";

/** Octets in a line of a dump. */
const DUMP_WIDTH = 16;
/** How long it is said that something was copied, in milliseconds. */
const SAID_MS = 3000;

/** @param {Uint8Array} octets */
function dump(octets) {
  let text = "";
  for (let at = 0; at < octets.length; at += DUMP_WIDTH) {
    const line = [...octets.subarray(at, at + DUMP_WIDTH)];
    const digits = line.map(hexOf).join(" ").padEnd(3 * DUMP_WIDTH - 1);
    const shown = line.map((octet) => octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".").join("");
    text += `${at.toString(16).padStart(8, "0")}  ${digits}  ${shown}\n`;
  }
  return text;
}

/** @type {Record<string, () => string>} */
const FORMS = {
  text: () => shownMessages.map(({ octets }) => new TextDecoder().decode(octets)).join("\n"),
  hex: () => shownMessages.map(({ octets }) => dump(octets)).join("\n"),
  curl: () => shownMessages[0].labelled.curl ?? "",
  raw: () => shownMessages[0].labelled.raw ?? "",
};

/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

for (const [what, textOf] of Object.entries(FORMS)) {
  part(`copy-${what}`).addEventListener("click", async () => {
    const copied = navigator.clipboard.writeText(textOf()).then(() => "copied");
    part("copied").textContent = await copied.catch(() => "the browser does not let it be copied");
    clearTimeout(saying);
    saying = setTimeout(() => part("copied").textContent = "", SAID_MS);
  });
}

// What is selected is copied as the message has it: line ends as they are, and nothing that is said of it.
part("messages").addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection || selection.isCollapsed) return;
  const taken = selection.getRangeAt(0).cloneContents();
  for (const one of taken.querySelectorAll(".what, .findings, .fault, .hidden")) one.remove();
  // The line feed itself is there, after its mark.
  for (const one of taken.querySelectorAll(".end")) one.replaceWith(one.textContent?.startsWith("CR") ? "\r" : "");
  event.clipboardData?.setData("text/plain", taken.textContent ?? "");
  event.preventDefault();
});

/** @param {boolean} isPrinting */
function print(isPrinting) {
  state.isPrinting = isPrinting;
  changed();
}

addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("print").addEventListener("change", ({ matches }) => print(matches));
