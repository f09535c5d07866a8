"""A language's analyzer: text to the terms of an index, in order."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple
from unicodedata import decimal

import Stemmer

from ragstore.errors import Unprocessable
from ragstore.lexical.characters import LATIN, SCRIPTS
from ragstore.lexical.normalizing import fold_accents, fold_case, fold_case_with_offsets
from ragstore.lexical.stop_words import read_stop_words
from ragstore.lexical.tokenizing import (
    ASCII_TOKEN,
    SPACED_TOKEN,
    TOKEN,
    UNSPACED_CHARACTER,
    drop_suffix,
    pair_characters,
)

LONGEST_TERM = 64
MOST_KNOWN_TOKENS = 50_000


class Word(NamedTuple):
    """A term and the code points `start` to `end` of the original text it comes from."""

    term: str
    start: int
    end: int


class TermsByToken(dict[str, str]):
    """The term of each token seen before; emptied when full, so that no corpus fills the memory."""

    def __init__(self, language: str) -> None:
        super().__init__()
        # Without a cache of its own: it would keep every word a second time.
        self.stemmer = None if language == "simple" else Stemmer.Stemmer(language, 0)
        self.own_script = re.compile(f"[{SCRIPTS.get(language, LATIN)}]")

    def __missing__(self, token: str) -> str:
        term = self.make_term(token[:LONGEST_TERM])
        if len(token) <= LONGEST_TERM:
            if len(self) >= MOST_KNOWN_TOKENS:
                self.clear()
            self[token] = term
        return term

    def make_term(self, token: str) -> str:
        if not token.isascii():
            token = "".join(str(decimal(one)) if one.isdecimal() else one for one in token)
        if not token.isalnum():
            token = drop_suffix(token).replace("i\u0307", "i")  # İ in lower case
        token = fold_accents(token)  # first, so that the stemmer sees the same with the accents and without
        if self.stemmer is not None and self.own_script.match(token):
            token = self.stemmer.stemWord(token) or token
        return fold_accents(token)[:LONGEST_TERM]


class Analyzer:
    """Made once per language by `get_analyzer`; threads may share it."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.known = TermsByToken(language)
        self.stop_terms = frozenset(term for word in read_stop_words().get(language, ()) for term in self.terms(word))

    def terms(self, text: str) -> list[str]:
        """The terms in the order of the text, stop words included: an index of the list is a position."""
        folded = fold_case(text)
        if folded.isascii():
            return list(map(self.known.__getitem__, ASCII_TOKEN.findall(folded)))
        if UNSPACED_CHARACTER.search(folded) is None:
            return list(map(self.known.__getitem__, SPACED_TOKEN.findall(folded)))
        return [term for term, _, _ in self.locate_terms(folded)]

    def words(self, text: str) -> list[Word]:
        """As `terms`, with the place of each in `text`. Words of one character of the text may share its place."""
        folded, starts, ends = fold_case_with_offsets(text)
        if not starts:
            return list(self.locate_terms(folded))
        return [Word(term, starts[start], ends[end - 1]) for term, start, end in self.locate_terms(folded)]

    def count_scored(self, terms: Sequence[str]) -> int:
        """The length of a passage for BM25: its terms without stop words."""
        return len(terms) - sum(map(self.stop_terms.__contains__, terms))

    def locate_terms(self, folded: str) -> Iterator[Word]:
        for token in TOKEN.finditer(folded):
            if token.lastgroup is None:
                yield Word(self.known[token[0]], token.start(), token.end())
            else:
                run, offset = token[0], token.start()
                for start, end in pair_characters(run):
                    yield Word(run[start:end][:LONGEST_TERM], offset + start, offset + end)


@cache
def get_analyzer(language: str) -> Analyzer:
    """The same analyzer for the same language; "simple" does not stem. Raises Unprocessable for an unknown one."""
    if language != "simple" and language not in Stemmer.algorithms():
        raise Unprocessable(f"There is no stemmer for the language {language!r}")
    return Analyzer(language)
