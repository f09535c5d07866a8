// How a search was made, in words and milliseconds.

import { make } from "./dom.js";

const PARTS = {
  embedding: "Embedding the question",
  connection: "Waiting for a connection",
  filter: "Reading the filter",
  statistics: "Statistics and filter",
  candidates: "Finding candidates",
  ranking: "Ranking",
  passages: "Reading passages",
  reranking: "Reranking",
};
const PLANS = {
  exact_codes: "the codes of all passages were compared, then the full vectors of the nearest",
  hnsw: "the nearest were found by the HNSW index, then compared by their full vectors",
  hnsw_iterative: "the HNSW index was asked until enough matched the filter; those were compared by their full vectors",
  filtered_vectors: "the full vectors of all passages that match the filter were compared",
  exact_vectors: "the full vectors of all passages were compared",
  phrase: "only passages that hold the phrase were compared",
  none: "not used",
};
const SMALLEST = 0.005; // milliseconds: less shows as nothing

export function makeExplanation({ plans, timings, mode, vector_weight: weight }) {
  return make(
    "details",
    { class: "explanation", open: true },
    make("summary", {}, `How it was searched: ${formatTime(timings.total)} ms in the service`),
    make("div", { class: "explained" }, makeTimings(timings), make("div", { class: "plans" }, makeWeight(mode, weight), ...plans.map(makePlan))),
  );
}

function makeTimings({ total, ...parts }) {
  const known = Object.entries(parts).filter(([, time]) => time >= SMALLEST);
  const rest = total - known.reduce((sum, [, time]) => sum + time, 0);
  const rows = known.map(([name, time]) => makeRow(PARTS[name] ?? name, time, total));
  if (rest >= SMALLEST) rows.push(makeRow("All else", rest, total));
  return make(
    "table",
    {},
    make("caption", { class: "unseen" }, "Milliseconds by part"),
    make("thead", { class: "unseen" }, make("tr", {}, ...["Part", "Share", "Milliseconds"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows),
    make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, "Together"), make("td", {}), make("td", {}, formatTime(total)))),
  );
}

function makeRow(name, time, total) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${total > 0 ? Math.min(1, time / total) * 100 : 0}%`;
  const bar = make("td", { class: "share", "aria-label": `${Math.round((100 * time) / total)} %` }, make("span", { class: "bar" }, fill));
  return make("tr", {}, make("th", { scope: "row" }, name), bar, make("td", {}, formatTime(time)));
}

function formatTime(milliseconds) {
  return milliseconds.toFixed(milliseconds < 100 ? 1 : 0);
}

function makeWeight(mode, weight) {
  if (mode !== "hybrid" || weight === null || weight === undefined) return null;
  const share = Math.round(100 * weight);
  return make("p", {}, `In the score, vectors weigh ${share}\u00a0% and words ${100 - share}\u00a0%.`);
}

function makePlan(plan) {
  const sentences = plan.chunks === 0 ? ["Nothing to search."] : [describeVectors(plan), describeWords(plan), describeFilter(plan)];
  if (plan.fallback) sentences.push("The index gave too few, so all codes were compared.");
  if (!plan.complete) sentences.push("Passages that hold only the commonest words of the query were not looked at.");
  return make(
    "section",
    {},
    make("h4", {}, plan.collection, make("small", {}, ` ${count(plan.chunks, "passage")}`)),
    make("ul", {}, ...sentences.filter(Boolean).map((sentence) => make("li", {}, sentence))),
  );
}

function describeVectors({ vector_plan: name, vector_candidates: candidates }) {
  const found = name === "none" ? "" : ` (${count(candidates, "candidate")})`;
  return `Vectors: ${PLANS[name] ?? name}${found}.`;
}

function describeWords({ text_words: words, text_words_looked_up: lookedUp, text_candidates: candidates }) {
  if (words === 0) return "Words: not used.";
  const which = lookedUp === words ? count(words, "word") : `the ${lookedUp} rarest of ${words} words`;
  return `Words: ${which} looked up (${count(candidates, "candidate")}).`;
}

function describeFilter({ matching, matching_at_least: isLeast }) {
  if (matching === null || matching === undefined) return null;
  if (matching === 0 && !isLeast) return "Filter: no document matches.";
  return `Filter: ${isLeast ? "at least " : ""}${count(matching, "document")} ${matching === 1 && !isLeast ? "matches" : "match"}.`;
}

function count(number, name) {
  return `${number.toLocaleString("en")} ${number === 1 ? name : `${name}s`}`;
}
