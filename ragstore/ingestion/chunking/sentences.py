"""Where sentences end, in scripts that mark it. Pure; linear time for any text.

The rules of Unicode (UAX #29) with what they leave to others: abbreviations, initials and ordinals end no sentence, nor
does a line, unless it is a heading, or empty, or an item of a list comes next. When in doubt two sentences stay one.
"""

import re
import unicodedata
from collections.abc import Iterator

CLOSING = "\"'”’»)\\]›）］」』】〉》〕"
END = re.compile(
    rf"""
    (?P<heading> ^\ {{0,3}}\#{{1,6}}[ \t][^\n]*+\n )
  | (?P<stop> (?<![.!?…‽؟۔।॥։።]) [.!?…‽؟۔।॥։።]++ [{CLOSING}]*+ (?:[ \u00a0\u202f]»(?!\w))?+ (?=\s) )  # before a space
  | (?P<full> (?:[。！？｡]|．(?!\d))++ [{CLOSING}]*+ )                        # no space follows
  | (?P<line> \n (?: [^\S\n]*+\n | (?=[ \t]*+(?:[-*+•][ \t]|\d{{1,9}}[.)][ \t]|[#|>])) ) )
    """,
    re.VERBOSE | re.MULTILINE,
)
LAST_WORD = re.compile(r"[^\W_][\w.'’-]*$")
NEXT = re.compile(r"\s*+(?:[\"'“‘„‚«‹¿¡(\[（「『【〈《]*+)(.?)", re.DOTALL)
LOOK_BACK = 24  # characters: longer than any abbreviation

# Before a full stop they end no sentence, for they stand before a name or the rest of what they say. Those that may
# also end one (etc., Inc.) are not here: what follows decides.
BEFORE_WORDS = re.compile(
    "mr|mrs|ms|mx|dr|prof|st|vs|cf|approx|dept|gen|lt|sgt|capt|rev|hon|rep|gov|messrs|viz|resp|incl|hr|bzw|ggf|vgl|sog"
    "|evtl|inkl|zzgl|dipl|mme|mlle|p.ex|sra|srta|dra|ud|uds|dott|ca"
)
BEFORE_NUMBERS = re.compile(
    "no|nos|nr|fig|figs|eq|eqs|vol|vols|ch|sec|p|pp|abb|bd|tel|pág|págs|núm|pag|art|al|ed|jan|feb|mar|apr|jun|jul|aug"
    "|sep|sept|oct|nov|dec"
)
ORDINAL = re.compile(r"\s*+(?:Jan|Feb|März|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrh|Jh)")  # German days and centuries
INITIALS = re.compile(r"(?:\w\.)+\w")


def find_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each, without the white space around it. All that is not white space is in one of them."""
    start = 0
    for end in (*find_ends(text), len(text)):
        sentence = text[start:end]
        words = sentence.strip()
        if words:
            begin = start + len(sentence) - len(sentence.lstrip())
            yield begin, begin + len(words)
        start = end


def find_ends(text: str) -> Iterator[int]:
    for found in END.finditer(text):
        kind, end = found.lastgroup, found.end()
        if (
            kind in ("heading", "line")
            or (kind == "full" and ends_full(text, found))
            or (kind == "stop" and ends_sentence(text, found))
        ):
            yield end


def ends_full(text: str, found: re.Match[str]) -> bool:
    """What was quoted may be told of by what follows at once."""
    following = text[found.end() : found.end() + 1]
    return not is_joined(following) and not (found.group()[-1] in CLOSING and following.isalnum())


def is_joined(following: str) -> bool:
    """A mark or a joiner belongs to the character before it."""
    return following == "\u200d" or unicodedata.category(following or " ")[0] == "M"


def ends_sentence(text: str, found: re.Match[str]) -> bool:
    after = NEXT.match(text, found.end())
    following = after[1] if after else ""
    if following.islower() or is_joined(text[found.end() + 1 : found.end() + 2]):
        return False
    if found.group() != ".":
        return True
    before = LAST_WORD.search(text, max(0, found.start() - LOOK_BACK), found.start())
    if before is None or not following:
        return True
    if before.group().isdecimal():
        item = before.start() == 0 or text[before.start() - 1] == "\n"
        return not item and not (len(before.group()) <= 2 and ORDINAL.match(text, found.end()))
    return not continues(before.group(), following)


def continues(word: str, following: str) -> bool:
    """Of a word and its full stop: an abbreviation or an initial."""
    lowered = word.casefold()
    if following.isdecimal() and BEFORE_NUMBERS.fullmatch(lowered):
        return True
    initial = (len(word) == 1 and word.isupper()) or INITIALS.fullmatch(word) is not None
    return initial or BEFORE_WORDS.fullmatch(lowered) is not None
