"""The words of a language that carry no meaning of their own, read from `stop_words.txt`."""

from functools import cache
from importlib.resources import files


@cache
def read_stop_words() -> dict[str, tuple[str, ...]]:
    """By language; most languages have no list."""
    lines = files(__package__).joinpath("stop_words.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {language: tuple(words) for language, *words in rows}
