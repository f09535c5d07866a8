// Ties the page together: the key, the collections, the form, and what a search answers.

import { clearAddress, readAddress, writeAddress } from "./address.js";
import { Api, Problem } from "./api.js";
import { find, make } from "./dom.js";
import { foldLongPassages, makeHitList } from "./hits.js";
import { checkKey, forgetKey, keepKey, readKey } from "./key.js";
import { makeEmptyCollection, makeFault, makeNoCollections, makeNoHits } from "./notices.js";

const keyForm = find("key-form");
const searchForm = find("search-form");
const results = find("results");
const status = find("status");
const FIELDS = ["query", "collection", "top_k", "filter"];

let api = null;
let collections = new Map();
let running = null; // the AbortController of the call under way

// --- the key

function askForKey(message = "") {
  stop();
  api = null;
  collections = new Map();
  keyForm.hidden = false;
  searchForm.hidden = true;
  find("forget").hidden = true;
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
  if (await open(key)) keepKey(key, remember);
}

function forget() {
  forgetKey();
  clearAddress();
  searchForm.reset();
  document.title = "ragstore";
  askForKey();
}

/** Lists the collections with the key; true when it was good. */
async function open(key) {
  api = new Api(key);
  const done = await run("Looking for collections…", loadCollections);
  if (!done) {
    if (api !== null && keyForm.hidden) offerRetry(() => open(key));
    return false;
  }
  keyForm.hidden = true;
  keyForm.reset();
  find("forget").hidden = false;
  if (collections.size === 0) {
    searchForm.hidden = true;
    show("0 collections", makeNoCollections(() => open(key)));
  } else {
    searchForm.hidden = false;
    find("query").focus();
    followAddress();
  }
  return true;
}

/** When a kept key cannot be tried, for instance because the service is starting. */
function offerRetry(retry) {
  find("forget").hidden = false;
  const button = make("button", { type: "button" }, "Try again");
  button.addEventListener("click", retry);
  results.append(make("p", { class: "retry" }, button));
}

async function loadCollections(signal) {
  const found = new Map();
  for await (const items of api.listCollections(signal)) {
    for (const one of items) found.set(one.name, one);
  }
  collections = found;
  find("collection").replaceChildren(...[...found.values()].map((one) => make("option", { value: one.name }, describe(one))));
  show("");
}

function describe({ name, title, document_count: documents }) {
  const count = `${documents.toLocaleString("en")} ${documents === 1 ? "document" : "documents"}`;
  return title ? `${name}: ${title} (${count})` : `${name} (${count})`;
}

// --- the form

function readForm() {
  const [query, collection, topK, filter] = FIELDS.map((name) => find(name).value.trim());
  return { query, collection, topK, filter };
}

/** Shows what is wrong with the form by field; true when nothing is. */
function checkForm({ query, collection, topK, filter }) {
  const faults = {
    query: query === "" ? "Type what to look for." : "",
    collection: collection === "" ? "Choose a collection." : "",
    top_k: /^\d+$/.test(topK) && topK >= 1 && topK <= 1000 ? "" : "A number from 1 to 1000.",
    filter: findFilterFault(filter),
  };
  for (const name of FIELDS) setError(name, faults[name]);
  focusFirstError();
  return FIELDS.every((name) => faults[name] === "");
}

function findFilterFault(text) {
  if (text === "") return "";
  try {
    const value = JSON.parse(text);
    const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
    return isObject ? "" : 'A filter is a JSON object, such as {"year": 2020}.';
  } catch (error) {
    return `This is not JSON: ${error.message}`;
  }
}

function setError(name, message) {
  const field = find(name);
  find(`${name}-error`).textContent = message;
  if (message) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

function focusFirstError() {
  const wrong = FIELDS.map(find).find((field) => field.hasAttribute("aria-invalid"));
  if (wrong?.id === "filter") find("filter-box").open = true;
  wrong?.focus();
}

// --- searching

async function search(event) {
  event?.preventDefault();
  const asked = readForm();
  if (!checkForm(asked)) return;
  writeAddress(asked);
  document.title = `${asked.query} – ragstore`;
  await run("Searching…", async (signal) => {
    const started = performance.now();
    const request = { query: asked.query, top_k: Number(asked.topK), filter: asked.filter };
    const { hits } = await api.search(asked.collection, request, signal);
    showHits(hits, asked, performance.now() - started);
  });
}

function showHits(hits, { query, collection, filter }, milliseconds) {
  const said = `${hits.length} ${hits.length === 1 ? "passage" : "passages"} in ${Math.round(milliseconds)} ms`;
  if (hits.length === 0) {
    const isEmpty = filter === "" && collections.get(collection)?.document_count === 0;
    show(said, isEmpty ? makeEmptyCollection(collection) : makeNoHits());
    return;
  }
  const list = makeHitList(hits, query);
  show(said, list);
  foldLongPassages(list);
}

/** Fills the form from the address, and searches when it holds a query. */
function followAddress() {
  if (api === null || collections.size === 0) return;
  const asked = readAddress();
  find("query").value = asked.query;
  find("top_k").value = asked.topK;
  find("filter").value = asked.filter;
  find("filter-box").open = asked.filter !== "";
  const isUnknown = asked.collection !== "" && !collections.has(asked.collection);
  find("collection").value = isUnknown ? "" : asked.collection || chooseCollection();
  for (const name of FIELDS) setError(name, "");
  if (isUnknown) {
    stop();
    show("");
    setError("collection", `No collection is called ${asked.collection}.`);
  } else if (asked.query === "") {
    stop();
    show("");
  } else search();
}

/** The first that holds something. */
function chooseCollection() {
  const all = [...collections.values()];
  return (all.find((one) => one.document_count > 0) ?? all[0]).name;
}

// --- calls and what they leave behind

/** One call at a time: a new one ends the one before. True when it worked, false when its fault is shown. */
async function run(message, work) {
  stop();
  const mine = (running = new AbortController());
  results.setAttribute("aria-busy", "true");
  status.textContent = message;
  try {
    await work(mine.signal);
    return true;
  } catch (error) {
    if (running === mine && error.name !== "AbortError") showProblem(error);
    return false;
  } finally {
    if (running === mine) stop();
  }
}

function stop() {
  running?.abort();
  running = null;
  results.setAttribute("aria-busy", "false");
}

function show(said, ...nodes) {
  status.textContent = said;
  results.replaceChildren(...nodes);
}

function showProblem(error) {
  const problem = error instanceof Problem ? error : new Problem(0, "The page failed.", { detail: String(error) });
  if (problem.status === 401) {
    forgetKey();
    askForKey(problem.message);
    return;
  }
  const left = problem.fields.filter((field) => !showFieldError(field));
  show("", ...(problem.fields.length > 0 && left.length === 0 ? [] : [makeFault(problem, left)]));
  focusFirstError();
}

/** `filter.year.$gt` stands at the filter. False when no field of the form has that name. */
function showFieldError({ path, message }) {
  const name = String(path).split(/[.[]/, 1)[0];
  if (!FIELDS.includes(name) || searchForm.hidden) return false;
  const before = find(`${name}-error`).textContent;
  const said = path === name ? message : `${path}: ${message}`;
  setError(name, before ? `${before}; ${said}` : said);
  return true;
}

// --- events

function listenToKeys(event) {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && !searchForm.hidden) {
    event.preventDefault();
    find("query").focus();
    find("query").select();
  }
}

keyForm.addEventListener("submit", useTypedKey);
searchForm.addEventListener("submit", search);
find("filter").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) search(event);
});
find("forget").addEventListener("click", forget);
document.addEventListener("keydown", listenToKeys);
window.addEventListener("hashchange", followAddress);

const kept = readKey();
if (kept === null) askForKey();
else open(kept);
