// Hits as elements. A hit is drawn from small parts; a new one (score parts, a plan) is one more function.

import { make } from "./dom.js";
import { highlight, makePattern } from "./highlight.js";

export function makeHitList(hits, query) {
  const pattern = makePattern(query);
  return make("ol", { class: "hits" }, ...hits.map((hit, index) => makeHit(hit, index + 1, pattern)));
}

/** To be called once the list stands in the page: only then is it known which passages are long. */
export function foldLongPassages(list) {
  for (const passage of list.querySelectorAll(".passage")) {
    if (passage.scrollHeight <= passage.clientHeight + 4) passage.classList.remove("folded");
    else passage.after(makeUnfoldButton(passage));
  }
}

function makeHit(hit, rank, pattern) {
  return make(
    "li",
    { class: "hit" },
    make("article", { "aria-labelledby": `hit-${rank}` }, makeHead(hit, rank), makeOrigin(hit), makePassage(hit, pattern, rank), makeFoot(hit)),
  );
}

function makeHead(hit, rank) {
  return make(
    "header",
    {},
    make("span", { class: "rank" }, make("span", { class: "unseen" }, "Rank "), String(rank)),
    make("h3", { id: `hit-${rank}` }, make("bdi", {}, hit.title || hit.document_key)),
    makeScore(hit.score),
  );
}

function makeScore(score) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
  return make(
    "span",
    { class: "score" },
    make("span", { class: "bar", "aria-hidden": "true" }, fill),
    make("span", { class: "unseen" }, "Score "),
    score.toFixed(3),
  );
}

function makeOrigin(hit) {
  const places = [...new Set([hit.source, hit.url].filter(Boolean))];
  return places.length === 0 ? null : make("p", { class: "origin" }, ...places.map(makePlace));
}

/** A link for web addresses only; anything else, `javascript:` too, is text. */
function makePlace(text) {
  const address = readWebAddress(text);
  if (address === null) return make("bdi", {}, text);
  return make("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, make("bdi", {}, text));
}

function readWebAddress(text) {
  try {
    const address = new URL(text);
    return ["http:", "https:"].includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

function makePassage(hit, pattern, rank) {
  return make("p", { class: "passage folded", id: `passage-${rank}`, dir: "auto" }, highlight(hit.content, pattern));
}

function makeUnfoldButton(passage) {
  const button = make("button", { type: "button", class: "quiet unfold", "aria-expanded": "false", "aria-controls": passage.id }, "Whole passage");
  button.addEventListener("click", () => {
    const folded = passage.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!folded));
    button.textContent = folded ? "Whole passage" : "Less";
  });
  return button;
}

function makeFoot(hit) {
  return make("footer", {}, makeCitation(hit), makeMetadata(hit.metadata));
}

function makeCitation(hit) {
  const range = `characters ${hit.start}–${hit.end}`;
  return make("p", { class: "citation" }, make("cite", {}, make("bdi", {}, hit.document_key)), `, ${range}`);
}

function makeMetadata(metadata) {
  const entries = Object.entries(metadata ?? {});
  if (entries.length === 0) return null;
  const rows = entries.flatMap(([name, value]) => [
    make("dt", {}, make("bdi", {}, name)),
    make("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  return make("details", {}, make("summary", {}, `Metadata (${entries.length})`), make("dl", {}, ...rows));
}
