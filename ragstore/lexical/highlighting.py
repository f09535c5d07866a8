"""Where the words of a query stand in a text."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from ragstore.lexical.analysis import Analyzer
from ragstore.lexical.tokenizing import HAN_CHARACTER


def find_matches(
    text: str, terms: Collection[str], analyzer: Analyzer, phrases: Iterable[Sequence[str]] = ()
) -> list[tuple[int, int]]:
    """The code points of the words whose term is among `terms`, and of whole `phrases`, as (start, end) in order.

    Spans that overlap or touch become one, as the pairs of characters of a script without spaces do.
    """
    wanted = drop_covered(terms)
    words = analyzer.words(text)
    spans = [(word.start, word.end) for word in words if word.term in wanted]
    found = [word.term for word in words]
    for phrase in phrases:
        for first, last in find_phrase(found, list(phrase)):
            spans.append((words[first].start, words[last].end))
    return merge_spans(spans)


def drop_covered(terms: Collection[str]) -> frozenset[str]:
    """Without the Han characters that are wanted as part of a pair: alone they would light up half of a text."""
    covered = {character for term in terms if len(term) > 1 for character in HAN_CHARACTER.findall(term)}
    return frozenset(terms) - covered


def find_phrase(terms: list[str], phrase: list[str]) -> Iterator[tuple[int, int]]:
    """The positions of its first and last term, wherever it occurs."""
    if not phrase:
        return
    for first, term in enumerate(terms):
        if term == phrase[0] and terms[first : first + len(phrase)] == phrase:
            yield first, first + len(phrase) - 1


def merge_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
