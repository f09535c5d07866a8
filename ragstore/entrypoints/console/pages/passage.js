// A passage between its neighbours, as one text.

import { make } from "./dom.js";
import { highlight } from "./highlight.js";

const SLACK = 4; // pixels
const SHOWN = 0.6; // of a folded passage: below, it fades

export function makePassage(hit, rank) {
  const { before, after } = cutNeighbors(hit);
  return make(
    "div",
    { class: "text", id: `text-${rank}` },
    before && make("p", { class: "beside folded end", dir: "auto" }, before),
    make("p", { class: "passage folded", dir: "auto" }, highlight(hit.content, hit.highlights)),
    after && make("p", { class: "beside folded", dir: "auto" }, after),
  );
}

/** The texts before and after. Passages of a document share their edges: what stands in two is shown once. */
export function cutNeighbors({ ordinal, content, start, end, neighbors }) {
  const sorted = [...(neighbors ?? [])].sort((a, b) => a.ordinal - b.ordinal);
  const before = [];
  let edge = start;
  for (const one of sorted.filter((other) => other.ordinal < ordinal).reverse()) {
    before.unshift(takePoints(one, one.start, Math.min(one.end, edge)));
    edge = Math.min(edge, one.start);
  }
  const after = [];
  edge = end;
  for (const one of sorted.filter((other) => other.ordinal > ordinal)) {
    after.push(takePoints(one, Math.max(one.start, edge), one.end));
    edge = Math.max(edge, one.end);
  }
  const glue = (texts) => texts.map((text) => text.trim()).filter(Boolean).join("\n\n");
  return { before: glue(before), after: glue(after) };
}

/** The part of a passage between two places of its document, in code points. */
function takePoints({ content, start, end }, from, to) {
  const points = Array.from(content);
  if (points.length !== end - start) return content;
  return points.slice(from - start, Math.max(from, to) - start).join("");
}

/** To be called once the hit stands in the page: only then is it known which texts are long. */
export function foldLongText(text) {
  const long = [...text.querySelectorAll(".folded")].filter((part) => {
    const isLong = part.scrollHeight > part.clientHeight + SLACK;
    part.classList.toggle("folded", isLong);
    return isLong;
  });
  if (long.length > 0) text.after(makeUnfoldButton(text, long));
  placeFolds(text);
}

/** Folded, the text before shows its end, and the passage the place where its first marked word stands. */
function placeFolds(text) {
  for (const before of text.querySelectorAll(".end.folded")) before.scrollTop = before.scrollHeight;
  const passage = text.querySelector(".passage");
  const mark = passage.querySelector("mark");
  if (mark === null || !passage.classList.contains("folded")) return;
  const isBelow = mark.offsetTop > passage.clientHeight * SHOWN;
  passage.scrollTop = isBelow ? mark.offsetTop - 2 * mark.offsetHeight : 0;
  passage.classList.toggle("cut", isBelow);
  passage.classList.toggle("ends", isBelow && passage.scrollTop + passage.clientHeight > passage.scrollHeight - SLACK);
}

function makeUnfoldButton(text, parts) {
  const button = make("button", { type: "button", class: "plain unfold", "aria-expanded": "false", "aria-controls": text.id }, "Show all");
  button.addEventListener("click", () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    for (const part of parts) part.classList.toggle("folded", isOpen);
    if (isOpen) placeFolds(text);
    button.setAttribute("aria-expanded", String(!isOpen));
    button.textContent = isOpen ? "Show all" : "Show less";
  });
  return button;
}
