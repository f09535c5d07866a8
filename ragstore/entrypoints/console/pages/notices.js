// What stands in place of hits: a fault, or what to do first.

import { make, makeCopyButton } from "./dom.js";

/** A fault the fields of the form cannot show themselves; `fields` are the errors that found no place there. */
export function makeFault(problem, fields, onRetry) {
  const rows = fields.map(({ path, message }) => make("li", {}, path ? make("code", {}, path) : null, path ? `: ${message}` : message));
  return make(
    "div",
    { class: "notice fault", role: "alert" },
    make("h2", {}, problem.title),
    problem.message !== problem.title && rows.length === 0 ? make("p", {}, problem.message) : null,
    rows.length > 0 ? make("ul", {}, ...rows) : null,
    problem.retryAfter ? make("p", {}, `Try again in ${problem.retryAfter} s.`) : null,
    problem.requestId ? make("p", { class: "hint" }, "Request ", make("code", {}, problem.requestId)) : null,
    onRetry ? make("div", { class: "actions" }, makeButton("Try again", onRetry)) : null,
  );
}

/** What the service did otherwise than it was asked. */
export function makeWarnings(warnings) {
  return make("div", { class: "notice warning", role: "note", "aria-label": "Warnings" }, ...warnings.map((text) => make("p", {}, text)));
}

export function makeNoCollections(onRetry) {
  const commands = [makeCurl("v1/collections", { name: "docs" }), makeFirstDocument("docs")].join("\n\n");
  return makeSteps("No collections yet", "Make one, and put a first document into it:", commands, makeButton("Look again", onRetry));
}

export function makeEmptyCollections(names) {
  const title = names.length === 1 ? `Nothing in “${names[0]}” yet` : "Nothing in these collections yet";
  return makeSteps(title, "Put a first document into it:", makeFirstDocument(names[0]));
}

export function makeNoHits(hasFilter, hasLeastScore) {
  const causes = [hasFilter && "a looser filter", hasLeastScore && "a lower least score", "other words"].filter(Boolean);
  return make("div", { class: "notice" }, make("h2", {}, "Nothing found"), make("p", {}, `No passage matches. Try ${causes.join(" or ")}.`));
}

function makeButton(label, onClick) {
  const button = make("button", { type: "button" }, label);
  button.addEventListener("click", onClick);
  return button;
}

function makeSteps(title, text, commands, ...more) {
  return make(
    "div",
    { class: "notice" },
    make("h2", {}, title),
    make("p", {}, text),
    make("pre", { tabindex: "0", "aria-label": "Commands" }, commands),
    make("div", { class: "actions" }, makeCopyButton(commands), ...more),
  );
}

function makeFirstDocument(collection) {
  const document = { key: "cats.md", title: "Cats", content: "Cats sleep most of the day.", metadata: { year: 2026 } };
  return makeCurl(`v1/collections/${encodeURIComponent(collection)}/documents`, { documents: [document] });
}

function makeCurl(path, body) {
  return [
    `curl ${new URL(path, document.baseURI.split("#")[0])} \\`,
    '  -H "Authorization: Bearer $RAGSTORE_API_KEY" \\',
    "  -H 'Content-Type: application/json' \\",
    `  -d '${JSON.stringify(body)}'`,
  ].join("\n");
}
