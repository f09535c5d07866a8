"""Documents that say in every passage which document and version it is of: a mixture cannot hide.

A document's content is made of its key and stamp alone, so whoever reads a passage knows what the whole has to be.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

WORDS = ("river", "stone", "lantern", "meadow", "copper", "harbour", "winter", "engine", "violet", "ladder")
STAMP = re.compile(r"key (\w+) stamp (\d+) length (\d+) digest (\w{8})")
CHUNKING = {"size": 64, "overlap": 8, "strategy": "tokens"}
LONGEST = 40  # sentences: about 25 passages


class Mixed(Exception):
    """What was read is no whole version of a document."""


@lru_cache(maxsize=4096)
def make_content(key: str, stamp: int) -> str:
    chance = random.Random(f"{key} {stamp}")
    count = chance.randint(1, LONGEST)
    digest = hashlib.sha256(f"{key} {stamp}".encode()).hexdigest()[:8]
    sentences = [f"key {key} stamp {stamp} length %06d digest {digest} {chance.choice(WORDS)}." for _ in range(count)]
    text = " ".join(sentences)
    return text.replace("%06d", f"{len(text) + 2 * count:06d}")  # six digits stand where four characters stood


def make_document(key: str, stamp: int) -> dict[str, Any]:
    metadata = {"stamp": stamp, "parity": "even" if stamp % 2 == 0 else "odd"}
    return {"key": key, "content": make_content(key, stamp), "source": f"stamp-{stamp}", "metadata": metadata}


def read_stamps(text: str) -> set[tuple[str, int]]:
    """Which documents and versions the text says it is of; a short end of a document may say none."""
    return {(key, int(stamp)) for key, stamp, _, _ in STAMP.findall(text)}


@dataclass(frozen=True)
class Piece:
    content: str
    start: int
    end: int


def check_pieces(key: str, pieces: Sequence[Piece]) -> int:
    """The stamp of the one version whose passages, all of them, these are. Raises Mixed."""
    if not pieces:
        raise Mixed(f"{key} has no passages")
    found = {stamp for one in pieces for stamp in read_stamps(one.content)}
    if len(found) != 1:
        raise Mixed(f"{key} is of {sorted(found)}")
    of, stamp = found.pop()
    if of != key:
        raise Mixed(f"{key} has passages of {of}")
    whole, reached = make_content(key, stamp), 0
    for one in sorted(pieces, key=lambda piece: piece.start):
        if whole[one.start : one.end] != one.content:
            raise Mixed(f"{key} at {one.start} is not what version {stamp} says there")
        if whole[reached : one.start].strip():
            raise Mixed(f"{key}, version {stamp}, lacks what stands at {reached}")
        reached = max(reached, one.end)
    if whole[reached:].strip():
        raise Mixed(f"{key}, version {stamp}, ends at {reached} of {len(whole)}")
    return stamp
