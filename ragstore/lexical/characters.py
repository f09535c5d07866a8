"""The classes of characters words are made of, as the inside of a regular expression's `[…]`.

They are written for text after `normalizing.normalize`: folded case, compatibility forms resolved.
"""

import sys
import unicodedata


def list_marks() -> str:
    """The combining marks (Mn, Mc, Me), as ranges. None lies between the second plane and the tags of the last ones."""
    last = min(sys.maxunicode, 0x1FFFF)
    marks = [code for code in range(0x300, last) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[list[int]] = []
    for code in marks:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(end)}" for first, end in ranges)


MARKS = list_marks()

# Invisible and without meaning for a search: soft hyphen, joiners, directions, variation selectors, byte order mark.
IGNORABLE = (
    "\u00ad\u034f\u061c\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef"
)

# What may compose with the character before it and is no mark: vowels and finals of Hangul, also in their
# compatibility forms, and the halfwidth voice marks of kana.
JOINING = "\u3131-\u318e\u1160-\u11ff\ud7b0-\ud7fb\uff9e\uff9f\uffa0-\uffdc"

# Scripts that put no spaces between words. Their digits and punctuation are left out.
HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
LAO = "\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf"
MYANMAR = "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"
KHMER = "\u1780-\u17d3\u17d7\u17dc\u17dd"
# Hangul has spaces, but what they divide is a word with its particles: bigrams find the word.
HANGUL = "\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb"
UNSPACED = HAN + KANA + THAI + LAO + MYANMAR + KHMER + HANGUL

LATIN = "a-z\u00aa\u00ba\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff"
CYRILLIC = "\u0400-\u052f"
# The script of each stemmer that does not read Latin; letters, since a word's first character decides.
SCRIPTS = {
    "arabic": "\u0620-\u06ff",
    "armenian": "\u0531-\u058f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "hindi": "\u0900-\u097f",
    "nepali": "\u0900-\u097f",
    "russian": CYRILLIC,
    "serbian": LATIN + CYRILLIC,
    "tamil": "\u0b80-\u0bff",
    "yiddish": "\u0590-\u05ff",
}
