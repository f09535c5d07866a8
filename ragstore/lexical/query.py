"""What a person typed, to the terms that score a passage and those it must or must not have."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

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

QUOTED = re.compile(r'"[^"]*+"')
STOPS = ".?!。？！؟।"
CLOSERS = " \t\n\r)]}"
Phrase = tuple[str, ...]


@dataclass(frozen=True)
class LexicalQuery:
    """`terms`: the terms that score, with how often each occurs in the query, in the query's order.

    A passage that matches has the terms of each of `phrases` next to each other in order, and those of none of
    `excluded`; one word alone is a phrase of one term. A query that only excludes has no terms. `text` is the query
    without what it excludes: the text to embed.
    """

    terms: dict[str, int]
    phrases: tuple[Phrase, ...] = ()
    excluded: tuple[Phrase, ...] = ()
    text: str = field(default="", compare=False)


def parse_query(text: str, analyzer: Analyzer) -> LexicalQuery:
    """Reads `"a phrase"`, `-word` and `-"a phrase"`; everything else is words, whatever its punctuation.

    Takes any string, in linear time; in a sentence, or over 256 characters, everything is words. Stop words score
    only where there is nothing else. Keeps 64 terms, and the first 16 phrases and 16 exclusions.
    """
    given = text
    text = text.translate(QUOTES)
    if len(text) > LONGEST_WITH_OPERATORS or is_sentence(text):
        return LexicalQuery(choose_terms(analyzer.terms(text), analyzer), text=given)
    words: list[str] = []
    phrases: list[Phrase] = []
    excluded: list[Phrase] = []
    kept: list[str] = []
    done = 0
    for operator in OPERATOR.finditer(text):
        words += analyzer.terms(text[done : operator.start()])
        kept.append(text[done : operator.start()])
        done = operator.end()
        phrase = tuple(analyzer.terms(operator["phrase"] or operator["word"] or ""))
        if operator["minus"] or operator["word"]:
            excluded.append(phrase)
        else:
            words += phrase
            phrases.append(phrase)
            kept.append(operator["phrase"])
    words += analyzer.terms(text[done:])
    rest = "".join([*kept, text[done:]])
    return LexicalQuery(choose_terms(words, analyzer), keep_first(phrases), keep_first(excluded), rest)


def is_sentence(text: str) -> bool:
    """In prose, which ends with a stop or a question mark, quotes are quotes and demand nothing."""
    outside = QUOTED.sub("", text).rstrip(CLOSERS)
    return bool(outside) and outside[-1] in STOPS and any(map(str.isalnum, outside))


def choose_terms(words: list[str], analyzer: Analyzer) -> dict[str, int]:
    """Of too many, those the query repeats most, then those it begins with."""
    counts = Counter(word for word in words if word not in analyzer.stop_terms) or Counter(words)
    if len(counts) <= MOST_TERMS:
        return dict(counts)
    chosen = {term for term, _ in counts.most_common(MOST_TERMS)}
    return {term: count for term, count in counts.items() if term in chosen}


def keep_first(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))[:MOST_PHRASES]
