// Which collections are searched: a button that says it, and a list of boxes below it. None ticked means all.

import { find, make } from "./dom.js";

const MOST_WITHOUT_SEARCH = 8;
const button = find("collections");
const panel = find("collections-panel");
const list = find("collections-list");
const narrow = find("collections-narrow");

let known = new Map();
let whenOpened = "";

export function fillPicker(collections) {
  known = collections;
  list.replaceChildren(...[...collections.values()].map(makeChoice));
  narrow.hidden = collections.size <= MOST_WITHOUT_SEARCH;
  say();
}

export function pick(names) {
  for (const box of boxes()) box.checked = names.includes(box.value);
  say();
}

/** Empty for all. */
export function readPicked() {
  return boxes().filter((box) => box.checked).map((box) => box.value);
}

/** `onChange` is called when the list closes with another choice than it opened with. */
export function listenToPicker(onChange) {
  const close = (refocus) => {
    if (panel.hidden) return;
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus();
    if (String(readPicked()) !== whenOpened) onChange();
  };
  button.addEventListener("click", () => (panel.hidden ? open() : close(true)));
  list.addEventListener("change", say);
  narrow.addEventListener("input", narrowList);
  find("collections-all").addEventListener("click", () => {
    pick([]);
    close(true);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Enter") return;
    if (event.key === "Enter" && event.target.tagName === "BUTTON") return;
    event.preventDefault();
    close(true);
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (!panel.contains(target) && !button.contains(target)) close(false);
  });
  find("picker").addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget !== null && !find("picker").contains(relatedTarget)) close(false);
  });
}

function open() {
  whenOpened = String(readPicked());
  narrow.value = "";
  narrowList();
  panel.hidden = false;
  button.setAttribute("aria-expanded", "true");
  (narrow.hidden ? (boxes().find((box) => box.checked) ?? boxes()[0]) : narrow)?.focus();
}

function narrowList() {
  const wanted = narrow.value.trim().toLowerCase();
  for (const choice of list.children) choice.hidden = !choice.textContent.toLowerCase().includes(wanted);
}

function boxes() {
  return [...list.querySelectorAll("input")];
}

function makeChoice({ name, title, document_count: documents }) {
  const count = `${documents.toLocaleString("en")} ${documents === 1 ? "document" : "documents"}`;
  return make(
    "label",
    { class: "choice" },
    make("input", { type: "checkbox", value: name }),
    make("span", {}, make("bdi", {}, name), title ? make("small", {}, make("bdi", {}, title)) : null),
    make("small", {}, count),
  );
}

function say() {
  const picked = readPicked();
  find("collections-said").textContent = picked.length > 0 ? picked.join(", ") : sayAll();
  find("collections-all").disabled = picked.length === 0;
}

function sayAll() {
  return known.size === 1 ? [...known.keys()][0] : `All ${known.size} collections`;
}
