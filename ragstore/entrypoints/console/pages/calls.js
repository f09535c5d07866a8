// One call at a time, and what it leaves behind: results, or a fault.

import { Problem } from "./api.js";
import { find } from "./dom.js";
import { addError, focusFirstError } from "./form.js";
import { makeFault } from "./notices.js";
import { nameField } from "./request.js";

const results = find("results");

let running = null; // the AbortController of the call under way
let whenRefused = () => {};

/** `callback` is called with the service's words when it does not know the key. */
export function askAgainForKey(callback) {
  whenRefused = callback;
}

/** A new call ends the one before. True when it worked, false when its fault is shown: in place of the results or below
 * them, with a button for `retry` where that may help. */
export async function run(message, work, { retry = null, keepsResults = false } = {}) {
  stop();
  const mine = (running = new AbortController());
  results.setAttribute("aria-busy", "true");
  say(message);
  try {
    await work(mine.signal);
    return true;
  } catch (error) {
    if (running === mine && error.name !== "AbortError") showProblem(error, retry, keepsResults);
    return false;
  } finally {
    if (running === mine) stop();
  }
}

export function stop() {
  running?.abort();
  running = null;
  results.setAttribute("aria-busy", "false");
}

export function say(text) {
  find("status").textContent = text;
}

export function show(said, ...nodes) {
  say(said);
  results.replaceChildren(...nodes);
}

function showProblem(error, retry, keepsResults) {
  const problem = error instanceof Problem ? error : new Problem(0, "The page failed.", { detail: String(error) });
  if (problem.status === 401) return whenRefused(problem.message);
  const left = find("search-form").hidden ? problem.fields : problem.fields.filter((field) => !showFieldError(field, problem));
  const isShown = problem.fields.length > 0 && left.length === 0;
  const notices = isShown ? [] : [makeFault(problem, left, problem.mayPass ? retry : null)];
  if (keepsResults) results.querySelector(".fault")?.remove();
  show("", ...(keepsResults ? results.children : []), ...notices);
  focusFirstError();
}

function showFieldError({ path, message }, problem) {
  const name = nameField(path);
  if (path.startsWith("like.")) return addError(name, problem.message);
  return addError(name, path === name ? message : `${path}: ${message}`);
}
