import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstore.chat.context.window import Counted, choose_window
from ragstore.chat.schemas import MessageRead

NOW = datetime.now(UTC)


def make(role: str, tokens: int = 1, calls: tuple[str, ...] = (), answers: str | None = None) -> Counted:
    tool_calls: list[dict[str, Any]] | None = [{"id": one} for one in calls] or None
    message = MessageRead(
        uuid.uuid4(), uuid.uuid4(), 0, role, "", None, None, {}, NOW, tool_calls=tool_calls, tool_call_id=answers
    )
    return Counted(message, tokens)


def number(spoken: list[Counted]) -> list[Counted]:
    for position, one in enumerate(spoken, start=1):
        one.message.position = position
    return spoken


def positions(spoken: list[Counted], budget: int) -> list[int]:
    return [one.position for one in choose_window(number(spoken), budget).messages]


CONVERSATION = [
    make("user", 10),
    make("assistant", 10),
    make("user", 5),
    make("assistant", 5, calls=("a", "b")),
    make("tool", 20, answers="a"),
    make("tool", 20, answers="b"),
    make("assistant", 5),
]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(75, [1, 2, 3, 4, 5, 6, 7]), (74, [3, 4, 5, 6, 7]), (55, [3, 4, 5, 6, 7]), (54, [4, 5, 6, 7]), (49, [7]), (4, [])],
)
def test_the_newest_turns_that_fit_are_taken_whole(budget: int, expected: list[int]) -> None:
    window = choose_window(number(CONVERSATION), budget)
    assert [one.position for one in window.messages] == expected
    assert window.complete == (budget >= 55)
    assert window.tokens == sum(one.tokens for one in CONVERSATION if one.message.position in expected)


def test_a_result_whose_call_is_gone_is_left_out() -> None:
    assert positions([make("tool", answers="x"), make("user"), make("tool", answers="y"), make("assistant")], 9) == [
        2,
        4,
    ]


def test_a_call_without_a_result_does_not_swallow_what_comes_after() -> None:
    spoken = [make("user"), make("assistant", calls=("a",)), make("user"), make("assistant")]
    assert positions(spoken, 2) == [3, 4]
    assert positions(spoken, 4) == [1, 2, 3, 4]


roles = st.sampled_from(["user", "assistant", "call", "result"])


@given(st.lists(st.tuples(roles, st.integers(1, 20), st.integers(0, 3)), max_size=25), st.integers(0, 200))
def test_a_window_fits_has_no_gap_and_parts_no_call_from_its_results(
    drawn: list[tuple[str, int, int]], budget: int
) -> None:
    spoken = [
        make("assistant", tokens, calls=(f"{name}",))
        if role == "call"
        else make("tool", tokens, answers=f"{name}")
        if role == "result"
        else make(role, tokens)
        for role, tokens, name in drawn
    ]
    window = choose_window(number(spoken), budget)
    sizes = {one.message.position: one.tokens for one in spoken}
    assert window.tokens == sum(sizes[one.position] for one in window.messages) <= budget
    called: set[str] = set()
    for one in window.messages:
        called |= {str(call["id"]) for call in one.tool_calls or ()}
        assert one.role != "tool" or one.tool_call_id in called
    taken = [one.position for one in window.messages]
    if taken:  # the only ones left out after the first are results without their call
        skipped = [
            one.message for one in spoken if one.message.position > taken[0] and one.message.position not in taken
        ]
        assert {one.role for one in skipped} <= {"tool"}
