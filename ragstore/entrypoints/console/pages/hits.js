// Hits as elements. A hit is drawn from small parts.

import { make, makeCopyButton } from "./dom.js";
import { foldLongText, makePassage } from "./passage.js";

export function makeHitList() {
  return make("ol", { class: "hits" });
}

/** Puts hits at the end of a list that stands in the page, and answers with their elements. A score of `best` fills its
 * bar (BM25 knows no most), `onLike` is called with the hit of which more is wanted. */
export function addHits(list, hits, { best, ...options }) {
  const first = list.children.length + 1;
  const made = hits.map((hit, index) => makeHit(hit, first + index, { ...options, full: Math.max(1, best) }));
  list.append(...made);
  for (const one of made) foldLongText(one.querySelector(".text"));
  return made;
}

function makeHit(hit, rank, options) {
  return make(
    "li",
    { class: "hit" },
    make(
      "article",
      { "aria-labelledby": `hit-${rank}`, tabindex: "-1" },
      makeHead(hit, rank, options),
      makePassage(hit, rank),
      makeFoot(hit, options.onLike),
    ),
  );
}

function makeHead(hit, rank, { full, mode, manyCollections }) {
  return make(
    "header",
    {},
    make("span", { class: "rank" }, make("span", { class: "unseen" }, "Rank "), String(rank)),
    make("h3", { id: `hit-${rank}` }, make("bdi", {}, hit.title || hit.document_key)),
    makeScore(hit.score, full),
    makeOrigin(hit, manyCollections),
    makeScoreParts(hit.scores, mode),
  );
}

function makeScore(score, full) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${Math.max(0, Math.min(1, score / full)) * 100}%`;
  return make(
    "span",
    { class: "score" },
    make("span", { class: "bar", "aria-hidden": "true" }, fill),
    make("span", { class: "unseen" }, "Score "),
    score.toFixed(3),
  );
}

/** Of those the mode looks at. A score of one part is the score itself. */
function makeScoreParts(scores, mode) {
  const isUsed = (name) => mode === "hybrid" || name === mode || name === "rerank";
  const parts = Object.entries(scores ?? {}).filter(([name, value]) => value !== null && isUsed(name));
  if (parts.length < 2) return null;
  const nodes = parts.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, formatPart(value))));
  return make("span", { class: "parts" }, make("span", { class: "unseen" }, "made of "), ...nodes);
}

function formatPart(value) {
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
}

function makeOrigin(hit, manyCollections) {
  const places = [...new Set([hit.source, hit.url].filter(Boolean))].map(makePlace);
  if (manyCollections) places.unshift(make("span", { class: "tag" }, make("span", { class: "unseen" }, "Collection "), hit.collection));
  return places.length === 0 ? null : make("p", { class: "origin" }, ...places);
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

function makeFoot(hit, onLike) {
  const citation = `passage ${hit.ordinal}, characters ${hit.start}–${hit.end}`;
  const like = make("button", { type: "button", class: "plain" }, "More like this");
  like.addEventListener("click", () => onLike(hit));
  return make(
    "footer",
    {},
    make("p", { class: "citation" }, make("cite", {}, make("bdi", {}, hit.document_key)), `, ${citation}`),
    make("div", { class: "doings" }, makeCopyButton(`${hit.document_key}, ${citation}`, "Copy citation", "plain"), like),
    makeMetadata(hit.metadata),
  );
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
