"""One form for the spellings of the same text, with the way back to the original's code points."""

import re
from unicodedata import is_normalized, normalize

from ragstore.lexical.characters import IGNORABLE, JOINING, MARKS

INVISIBLE = re.compile(f"[{IGNORABLE}]+")
# A character and all that could compose with it: normalizing these one by one equals normalizing the whole.
# Nothing composes with an ASCII character that another one follows.
CLUSTER = re.compile(rf"[\0-\x7f]+(?=[\0-\x7f])|.[{MARKS}{JOINING}{IGNORABLE}]*+", re.DOTALL)
# Marks are neither \w nor \s. Ordering a run of them takes quadratic time, so it is cut where
# Unicode's Stream-Safe Text Format (UAX 15) would cut it.
SUSPECT_RUN = re.compile(r"[^\w\s\0-\u02ff]{31}")
LONG_RUN = re.compile(f"([{MARKS}]{{30}})[{MARKS}]++")

# What writers leave out: accents of Latin and Greek, points of Hebrew, vowel signs and the tatweel of Arabic.
ACCENTS = re.compile("(?<=[a-z\u0370-\u03ff])[\u0300-\u036f]+")
OPTIONAL_SIGNS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u0652\u0670]+")
LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"})


def fold_case(text: str) -> str:
    """NFKC and case folding, invisible characters removed (close to Unicode's NFKC_Casefold)."""
    if text.isascii():
        return text.lower()
    text = INVISIBLE.sub("", text)
    if SUSPECT_RUN.search(text):
        text = LONG_RUN.sub(r"\1", text)
    if not is_normalized("NFKC", text):
        text = normalize("NFKC", text)
    text = text.casefold()
    return text if is_normalized("NFKC", text) else normalize("NFKC", text)


def fold_case_with_offsets(text: str) -> tuple[str, list[int], list[int]]:
    """The folded text and, for each of its characters, where in `text` its cluster starts and ends.

    Two empty lists: every character stands where it stood.
    """
    if text.isascii() or keeps_places(text):
        return fold_case(text), [], []
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in CLUSTER.finditer(text):
        piece = fold_case(cluster[0])
        pieces.append(piece)
        start, end = cluster.span()
        if piece.isascii() and len(piece) == end - start:
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:
            starts.extend([start] * len(piece))
            ends.extend([end] * len(piece))
    return "".join(pieces), starts, ends


def keeps_places(text: str) -> bool:
    if SUSPECT_RUN.search(text) or INVISIBLE.search(text) or not is_normalized("NFKC", text):
        return False
    folded = text.casefold()  # never shorter
    return len(folded) == len(text) and is_normalized("NFKC", folded)


def fold_accents(term: str) -> str:
    """`term`, folded before, without the marks its writers may leave out."""
    if term.isascii():
        return term
    bare = OPTIONAL_SIGNS.sub("", term.translate(LETTERS))
    return normalize("NFC", ACCENTS.sub("", normalize("NFD", bare))) or term
