"""What a person typed, to the terms that score a passage and those it must or must not have."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ragstore.lexical.analysis import Analyzer

MOST_TERMS = 64
MOST_PHRASES = 16
# Longer ones are pasted texts or whole paragraphs of a question: their quotes quote, and demand nothing.
LONGEST_WITH_OPERATORS = 256

QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "＂": '"'})
# A hyphen excludes only at the start of a word; a quote opens only there, so that 5" is five inches.
# A hyphen before a digit is a minus: -5 degrees.
OPERATOR = re.compile(
    r"""(?:(?<!\S)(?P<minus>-))?(?<![\w"])"(?P<phrase>[^"]*+)" | (?<!\S)-(?P<word>[^\W\d][^\s"]*+)""", re.VERBOSE
)

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class LexicalQuery:
    """`terms`: the terms that score, with how often each occurs in the query, in the query's order.

    A passage that matches has the terms of each of `phrases` next to each other in order, and those of none of
    `excluded`; one word alone is a phrase of one term. A query that only excludes has no terms.
    """

    terms: dict[str, int]
    phrases: tuple[Phrase, ...] = ()
    excluded: tuple[Phrase, ...] = ()


def parse_query(text: str, analyzer: Analyzer) -> LexicalQuery:
    """Reads `"a phrase"`, `-word` and `-"a phrase"`; everything else is words, whatever its punctuation.

    Takes any string, in linear time; in one of over 256 characters everything is words. Stop words score only where
    there is nothing else to score. Keeps 64 terms, and the first 16 phrases and 16 exclusions.
    """
    if len(text) > LONGEST_WITH_OPERATORS:
        return LexicalQuery(choose_terms(analyzer.terms(text), analyzer))
    text = text.translate(QUOTES)
    words: list[str] = []
    phrases: list[Phrase] = []
    excluded: list[Phrase] = []
    done = 0
    for operator in OPERATOR.finditer(text):
        words += analyzer.terms(text[done : operator.start()])
        done = operator.end()
        phrase = tuple(analyzer.terms(operator["phrase"] or operator["word"] or ""))
        if operator["minus"] or operator["word"]:
            excluded.append(phrase)
        else:
            words += phrase
            phrases.append(phrase)
    words += analyzer.terms(text[done:])
    return LexicalQuery(choose_terms(words, analyzer), keep_first(phrases), keep_first(excluded))


def choose_terms(words: list[str], analyzer: Analyzer) -> dict[str, int]:
    """Of too many, those the query repeats most, then those it begins with."""
    counts = Counter(word for word in words if word not in analyzer.stop_terms) or Counter(words)
    if len(counts) <= MOST_TERMS:
        return dict(counts)
    chosen = {term for term, _ in counts.most_common(MOST_TERMS)}
    return {term: count for term, count in counts.items() if term in chosen}


def keep_first(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))[:MOST_PHRASES]
