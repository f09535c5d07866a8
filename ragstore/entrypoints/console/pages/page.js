// Ties the page together: the key, the collections, the form, and what a search answers.

import { clearAddress, DEFAULTS, readAddress, writeAddress } from "./address.js";
import { Api } from "./api.js";
import { askAgainForKey, run, say, show, stop } from "./calls.js";
import { find, make } from "./dom.js";
import { makeExplanation } from "./explanation.js";
import { checkForm, fillForm, focusFirstError, readForm, resetOptions, setError, showWhatIsSet, togglePanel } from "./form.js";
import { addHits, makeHitList } from "./hits.js";
import { checkKey, forgetKey, keepKey, readKey } from "./key.js";
import { makeEmptyCollections, makeNoCollections, makeNoHits, makeWarnings } from "./notices.js";
import { fillPicker, listenToPicker } from "./picker.js";
import { makeRequest } from "./request.js";

const MOST_COLLECTIONS = 50; // in one search

const keyForm = find("key-form");
const searchForm = find("search-form");
const results = find("results");

let api = null;
let collections = new Map();
let example = { like: "", like_title: "" }; // the passage of which more is wanted

// --- the key

function askForKey(message = "") {
  stop();
  api = null;
  collections = new Map();
  keyForm.hidden = false;
  searchForm.hidden = true;
  find("forget").hidden = true;
  find("keys").hidden = true;
  show("");
  setError("key", message);
  find("key").focus();
}

async function useTypedKey(event) {
  event.preventDefault();
  const key = find("key").value.trim();
  const fault = checkKey(key);
  setError("key", fault ?? "");
  if (fault !== null) return find("key").focus();
  const remember = find("remember").checked;
  await open(key, () => keepKey(key, remember));
}

function forget() {
  forgetKey();
  clearAddress();
  searchForm.reset();
  document.title = "ragstore";
  askForKey();
}

/** Lists the collections with the key, which shows whether it is good. */
async function open(key, keep = () => {}) {
  api = new Api(key);
  const done = await run("Looking for collections…", loadCollections, { retry: () => open(key, keep) });
  if (!done) return;
  keep();
  find("forget").hidden = false;
  keyForm.hidden = true;
  keyForm.reset();
  searchForm.hidden = collections.size === 0;
  find("keys").hidden = collections.size === 0;
  if (collections.size === 0) return show("", makeNoCollections(() => open(key)));
  find("query").focus();
  followAddress();
}

async function loadCollections(signal) {
  const found = new Map();
  for await (const items of api.listCollections(signal)) {
    for (const one of items) found.set(one.name, one);
  }
  collections = found;
  fillPicker(found);
  show("");
}

// --- what is asked

function readAsked() {
  const asked = readForm();
  return asked.query === "" ? { ...asked, ...example } : asked;
}

function setExample({ like, like_title: title }) {
  example = { like, like_title: title };
  find("like").hidden = like === "";
  find("like-title").textContent = title || "the example";
}

/** Fills the form from the address, and searches when it asks something. */
function followAddress() {
  if (api === null || collections.size === 0) return;
  const asked = readAddress();
  fillForm(asked);
  setExample(asked);
  const unknown = asked.collections.filter((name) => !collections.has(name));
  if (unknown.length === 0 && (asked.query !== "" || asked.like !== "")) return search();
  stop();
  show("");
  if (unknown.length > 0) setError("collections", `No collection is called ${unknown.join(" or ")}.`);
}

/** In the collection of the passage: no other one has it. */
function searchLike(hit) {
  const title = `${hit.title || hit.document_key}, passage ${hit.ordinal}`;
  fillForm({ ...readForm(), query: "", collections: [hit.collection] });
  setExample({ like: hit.chunk_id, like_title: title });
  window.scrollTo({ top: 0 });
  find("query").focus({ preventScroll: true });
  search();
}

function endExample() {
  setExample(DEFAULTS);
  find("query").focus();
}

// --- searching

async function search(event) {
  event?.preventDefault();
  const asked = readAsked();
  if (!checkForm(asked, collections)) return;
  const names = asked.collections.length > 0 ? asked.collections : [...collections.keys()];
  if (names.length > MOST_COLLECTIONS) {
    setError("collections", `${MOST_COLLECTIONS} collections can be searched at once, and there are ${names.length}: choose some.`);
    return focusFirstError();
  }
  setExample(asked);
  writeAddress(asked);
  document.title = `${asked.query || asked.like_title || "More"} – ragstore`;
  const ask = (more, signal) => api.search(names, { ...makeRequest(asked), ...more }, asked.filter, signal);
  await run("Searching…", (signal) => searchAnew(ask, { asked, names }, signal), { retry: () => search() });
}

async function searchAnew(ask, { asked, names }, signal) {
  const started = performance.now();
  const answer = await ask({}, signal);
  const time = Math.round(performance.now() - started);
  const notes = [answer.warnings && makeWarnings(answer.warnings), answer.explain && makeExplanation(answer.explain)].filter(Boolean);
  if (answer.hits.length === 0) return show(`No passages, ${time} ms`, ...notes, explainNothing(asked, names));
  const list = makeHitList();
  show(`${sayPassages(answer)}, ${time} ms`, ...notes, list);
  const best = Math.max(...answer.hits.map((hit) => hit.score));
  const add = (hits) => addHits(list, hits, { best, mode: asked.mode, manyCollections: names.length > 1, onLike: searchLike });
  add(answer.hits);
  offerMore(answer.next_cursor, ask, add);
}

function sayPassages({ hits, next_cursor: cursor, reranked }) {
  const count = `${hits.length} ${hits.length === 1 ? "passage" : "passages"}`;
  return `${cursor ? `The first ${count}` : count}${reranked ? ", reranked" : ""}`;
}

function explainNothing({ filter, min_score: least }, names) {
  const isEmpty = names.every((name) => collections.get(name)?.document_count === 0);
  return isEmpty ? makeEmptyCollections(names) : makeNoHits(filter !== "", least !== "");
}

/** The next page below the list, until there is none. */
function offerMore(cursor, ask, add) {
  if (!cursor) return;
  const button = make("button", { type: "button", class: "quiet more" }, "More");
  results.append(button);
  button.addEventListener("click", () => {
    const work = async (signal) => {
      const answer = await ask({ cursor }, signal);
      button.remove();
      results.querySelector(".fault")?.remove();
      const [first] = add(answer.hits);
      say(answer.hits.length === 0 ? "Nothing more" : `${answer.hits.length} more`);
      first?.querySelector("article").focus();
      offerMore(answer.next_cursor, ask, add);
    };
    run("Searching for more…", work, { keepsResults: true });
  });
}

// --- events

/** `/` goes to the query, `j` and `k` to the hits, as long as nothing is being typed. */
function listenToKeys(event) {
  const isTyping = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || searchForm.hidden) return;
  if (event.key === "/") {
    event.preventDefault();
    find("query").focus();
    find("query").select();
  } else if (event.key === "j") moveToHit(1);
  else if (event.key === "k") moveToHit(-1);
}

function moveToHit(step) {
  const hits = [...results.querySelectorAll(".hits article")];
  const now = hits.indexOf(document.activeElement?.closest(".hits article"));
  hits[now < 0 ? 0 : now + step]?.focus();
}

function searchAgain(event) {
  showWhatIsSet();
  const isChoice = event.target.matches("[type=radio], [type=checkbox], select") && !event.target.closest("#picker");
  if (isChoice) repeatSearch();
}

/** When something was asked already: a choice shows its effect at once. */
function repeatSearch() {
  const { query, like } = readAsked();
  if (results.hasChildNodes() && (query !== "" || like !== "")) search();
}

askAgainForKey((message) => {
  forgetKey();
  askForKey(message);
});
keyForm.addEventListener("submit", useTypedKey);
searchForm.addEventListener("submit", search);
searchForm.addEventListener("change", searchAgain);
searchForm.addEventListener("input", showWhatIsSet);
listenToPicker(repeatSearch);
for (const panel of ["filter", "options"]) find(`${panel}-button`).addEventListener("click", () => togglePanel(panel));
find("filter").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) search(event);
});
find("reset").addEventListener("click", () => {
  resetOptions();
  repeatSearch();
});
find("like-end").addEventListener("click", endExample);
find("forget").addEventListener("click", forget);
document.addEventListener("keydown", listenToKeys);
window.addEventListener("hashchange", followAddress);

const kept = readKey();
if (kept === null) askForKey();
else {
  find("forget").hidden = false;
  open(kept);
}
