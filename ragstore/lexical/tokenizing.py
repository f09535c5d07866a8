"""Folded text to tokens: words where a script has spaces, pairs of characters where it has none."""

import re
from collections.abc import Iterator

from ragstore.lexical.characters import HAN, MARKS, UNSPACED

# No group repeats possessively here or elsewhere: Python before 3.11.5 takes more with such a group than it matches.
# Scripts with spaces: letters and digits, with the marks that stand on them.
LETTER = rf"[^\W_{UNSPACED}]"
# The look-ahead spares most words the search in the long list of marks.
MARKED = rf"(?:(?![\0-\u02ff])[{MARKS}]++{LETTER}*+)*"
# What may follow a word and belongs to it: it's and don't, the decimals of 3.14 and 10,000, the rest of u.s.
SUFFIX = r"(?:['’](?:s|t|m|d|ll|re|ve)\b|(?:[.,](?<=\d.)\d++)+|(?<=\b[^\W\d_])(?:\.[^\W\d_]\b)+)?"

ASCII_TOKEN = re.compile(f"[a-z0-9]++{SUFFIX}", re.ASCII)
SPACED_TOKEN = re.compile(f"{LETTER}++{MARKED}{SUFFIX}")
TOKEN = re.compile(rf"(?P<unspaced>[{UNSPACED}][{UNSPACED}{MARKS}]*+)|{SPACED_TOKEN.pattern}")

UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
HAN_CHARACTER = re.compile(f"[{HAN}]")
CHARACTER_WITH_MARKS = re.compile(f".[{MARKS}]*+")


def drop_suffix(token: str) -> str:
    """`it's` is it, `u.s` is us and `10,000` is 10000; `don't` and `3.14` are words of their own."""
    word, _, rest = token.replace("’", "'").partition("'")
    if rest == "t":
        return word + rest
    return word.replace(",", "") if word[-1].isdecimal() else word.replace(".", "")


def pair_characters(run: str) -> Iterator[tuple[int, int]]:
    """The places of overlapping pairs of characters with their marks, each Han character alone before its pair.

    A part of a run has the same pairs in the same order as in the whole, so that phrases find it.
    """
    if run.isalpha():  # without marks
        bounds = list(range(len(run) + 1))
    else:
        bounds = [character.start() for character in CHARACTER_WITH_MARKS.finditer(run)] + [len(run)]
    alone = {character.start() for character in HAN_CHARACTER.finditer(run)} if len(bounds) > 2 else {0}
    for index, start in enumerate(bounds[:-1]):
        if start in alone:
            yield start, bounds[index + 1]
        if index + 2 < len(bounds):
            yield start, bounds[index + 2]
