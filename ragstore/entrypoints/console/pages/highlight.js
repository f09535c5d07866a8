// Marks what the service found in a text: text nodes and <mark>, nothing else.

import { make } from "./dom.js";

/** `spans`: pairs of code points, in order. JavaScript counts UTF-16 units, of which an emoji is two. */
export function highlight(text, spans) {
  const points = spans?.length ? Array.from(text) : [text];
  const pieces = document.createDocumentFragment();
  let done = 0;
  for (const [start, end] of spans ?? []) {
    pieces.append(points.slice(done, start).join(""), make("mark", {}, points.slice(start, end).join("")));
    done = end;
  }
  pieces.append(points.slice(done).join(""));
  return pieces;
}
