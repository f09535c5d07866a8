"""The short form of `python -m bench.replaces`."""

from collections.abc import Iterator

import httpx
import pytest

from bench.replaces import Trial, fail_between
from bench.stamped import Mixed, Piece, check_pieces, make_content
from ragstore import failpoints

KEYS = ("first", "second")


@pytest.fixture
def failing() -> Iterator[None]:
    """One replace in seven or so fails between its statements."""
    failpoints.arm(fail_between(0.05))
    yield
    failpoints.arm("")


@pytest.mark.usefixtures("failing")
async def test_readers_see_one_whole_version_while_documents_are_replaced(wide_client: httpx.AsyncClient) -> None:
    trial = Trial(wide_client, KEYS, replaces=100)
    await trial.run(readers=4)
    assert trial.wrong == []
    kinds = {"documents", "lists of passages", "searches, hybrid", "searches, text", "searches, vector"}
    assert set(trial.reads) == kinds
    assert trial.failed_writes > 0


def cut(text: str) -> list[Piece]:
    middle = text.index("key", len(text) // 2)
    return [Piece(text[:middle].rstrip(), 0, len(text[:middle].rstrip())), Piece(text[middle:], middle, len(text))]


def test_a_mixture_of_two_versions_is_noticed() -> None:
    old, new = cut(make_content("first", 4)), cut(make_content("first", 5))
    assert check_pieces("first", old) == 4
    for wrong in ([old[0], new[1]], old[:1], old[1:], [], cut(make_content("second", 4))):
        with pytest.raises(Mixed):
            check_pieces("first", wrong)
