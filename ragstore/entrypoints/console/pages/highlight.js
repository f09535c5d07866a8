// Marks the query's words in a text: text nodes and <mark>, nothing else.

import { make } from "./dom.js";

const MOST_WORDS = 50;
const COMMON = new Set(
  ("a an and are as at be by can do does for from had has have how i if in into is it its me my of on or our so than " +
    "that the their them then there these they this to was we were what when where which who why will with you your")
    .split(" "),
);
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;
const LETTER = "[\\p{L}\\p{M}\\p{N}_]";

/** A pattern for the query's words (and a few letters of ending), or null when it has none worth marking. */
export function makePattern(query) {
  const words = [...new Set(query.toLowerCase().match(new RegExp(`${LETTER}+`, "gu")) ?? [])]
    .filter((word) => !COMMON.has(word) && ([...word].length > 1 || UNSPACED.test(word)))
    .slice(0, MOST_WORDS)
    .sort((a, b) => b.length - a.length);
  if (words.length === 0) return null;
  const choices = words.map((word) => {
    if (UNSPACED.test(word)) return word;
    const ending = word.length > 3 ? "\\p{L}{0,3}" : "";
    return `(?<!${LETTER})${word}${ending}(?!${LETTER})`;
  });
  return new RegExp(choices.join("|"), "giu");
}

export function highlight(text, pattern) {
  const pieces = document.createDocumentFragment();
  let done = 0;
  for (const found of pattern === null ? [] : text.matchAll(pattern)) {
    pieces.append(text.slice(done, found.index), make("mark", {}, found[0]));
    done = found.index + found[0].length;
  }
  pieces.append(text.slice(done));
  return pieces;
}
