// The form: what stands in its fields, whether it can be asked, and what is wrong with each field.

import { DEFAULTS } from "./address.js";
import { find } from "./dom.js";
import { pick, readPicked } from "./picker.js";

const TEXTS = ["query", "filter", "top_k", "min_score", "per_group", "diversity", "neighbors", "fusion", "vector_weight"];
const BOXES = ["exact", "rerank", "explain"];
const IN_PANELS = { filter: ["filter"], options: [...TEXTS.slice(2), ...BOXES] };
const RANGES = { top_k: [1, 1000], per_group: [1, 100], diversity: [0, 1], neighbors: [0, 20], vector_weight: [0, 1] };
const WHOLE = ["top_k", "per_group", "neighbors"];
const FIELDS = ["query", "collections", "filter", "top_k", "min_score", "per_group", "diversity", "neighbors", "vector_weight", "rerank"];

/** In the shape of `readAddress`, but for the example, which no field holds. */
export function readForm() {
  const asked = { ...DEFAULTS, collections: readPicked(), mode: document.querySelector("[name=mode]:checked").value };
  for (const name of TEXTS) asked[name] = find(name).value.trim();
  for (const name of BOXES) asked[name] = find(name).checked ? "1" : "";
  return asked;
}

export function fillForm(asked) {
  pick(asked.collections);
  const mode = document.getElementById(`mode-${asked.mode}`) ?? find("mode-hybrid");
  mode.checked = true;
  for (const name of TEXTS) find(name).value = asked[name];
  if (find("fusion").value === "") find("fusion").value = DEFAULTS.fusion;
  for (const name of BOXES) find(name).checked = asked[name] !== "";
  if (asked.filter !== "") openPanel("filter", true);
  clearErrors();
  showWhatIsSet();
}

export function resetOptions() {
  for (const name of IN_PANELS.options) {
    if (BOXES.includes(name)) find(name).checked = false;
    else find(name).value = DEFAULTS[name];
    if (FIELDS.includes(name)) setError(name, "");
  }
  showWhatIsSet();
}

/** Marks the buttons of closed panels that hold something, and hides what the mode has no use for. */
export function showWhatIsSet() {
  const asked = readForm();
  for (const [panel, names] of Object.entries(IN_PANELS)) {
    const set = names.filter((name) => asked[name] !== DEFAULTS[name]).length;
    find(`${panel}-count`).textContent = set > 0 ? String(set) : "";
  }
  const weighs = asked.mode === "hybrid" && asked.fusion === "convex";
  find("fusion").disabled = asked.mode !== "hybrid";
  find("vector_weight").disabled = !weighs;
  find("reset").disabled = find("options-count").textContent === "";
}

export function openPanel(name, isOpen) {
  find(`${name}-panel`).hidden = !isOpen;
  find(`${name}-button`).setAttribute("aria-expanded", String(isOpen));
}

export function togglePanel(name) {
  openPanel(name, find(`${name}-panel`).hidden);
}

/** Shows what is wrong by field; true when nothing is. */
export function checkForm(asked, known) {
  clearErrors();
  if (asked.query === "" && asked.like === "") setError("query", "Type what to look for.");
  const strange = asked.collections.find((name) => !known.has(name));
  if (strange !== undefined) setError("collections", `No collection is called ${strange}.`);
  for (const name of [...Object.keys(RANGES), "min_score"]) setError(name, findNumberFault(name, asked[name]));
  setError("filter", findFilterFault(asked.filter));
  return !focusFirstError();
}

function findNumberFault(name, text) {
  const field = find(name);
  if (field.disabled || (text === "" && name !== "top_k" && !field.validity.badInput)) return "";
  const [least, most] = RANGES[name] ?? [-Infinity, Infinity];
  const number = text === "" ? NaN : Number(text);
  const fits = number >= least && number <= most && (!WHOLE.includes(name) || Number.isInteger(number));
  if (fits) return "";
  if (least === -Infinity) return "A number.";
  return `A ${WHOLE.includes(name) ? "whole number" : "number"} from ${least} to ${most}.`;
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

/** False when no field of the form has that name. Several faults of one field stand beside each other. */
export function addError(name, message) {
  if (!FIELDS.includes(name)) return false;
  const before = find(`${name}-error`).textContent;
  setError(name, before ? `${before}; ${message}` : message);
  return true;
}

export function setError(name, message) {
  find(`${name}-error`).textContent = message;
  if (message) find(name).setAttribute("aria-invalid", "true");
  else find(name).removeAttribute("aria-invalid");
}

export function clearErrors() {
  for (const name of FIELDS) setError(name, "");
}

/** The field that has the focus now, or undefined when nothing is wrong. */
export function focusFirstError() {
  const name = FIELDS.find((one) => find(one).hasAttribute("aria-invalid"));
  if (name === undefined) return undefined;
  for (const [panel, names] of Object.entries(IN_PANELS)) if (names.includes(name)) openPanel(panel, true);
  find(name).focus();
  return find(name);
}
