"""Whatever is typed is answered, or refused in words: never a fault of ours."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import make_collection, upsert

MODES = ("hybrid", "text", "vector")
OPERATORS = st.text(st.sampled_from("&|!<->:*()'\"\\- .?ab中ไ\u0301\u200d"), max_size=40)
ODD = [
    "", " ", "\t\n\u3000", "\x00", "a\x00b", "?!.,;:", "-", "--", '"', '""', '"" ""', "-\"\"", "'",
    "\\", "%", "$1", ":a",
    "a & b | !c", "cat <-> dog", "cat <2> dog", "cat:*", "(((", "'cat' & 'dog':ABCD",
    '"cat', 'cat" "dog', '-"cat', "-cat",
    "-cat -dog", '"the"', '"the of" and', "the of and", "\u202ecats\u202c", "שלום עולם",
    "مرحبا", "😀🎉", "👩‍👩‍👧",
    "\U0010ffff",
    "\ufffe", "e\u0301" * 300, "\u0301" * 5000, "ไ" * 3000, "中" * 3000, "ａｂｃ", "ﬀ", "İi", "ß" * 100, "x" * 100_000,
    "-a " * 80, '"a b" ' * 40, "cat " * 10_000, "1e999", "\x7f\x01\x1f",
]  # fmt: skip


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    await make_collection(client)
    await upsert(
        client,
        {"key": "a", "content": "The cat and the dog. 中文 ไทย 😀 e\u0301"},
        {"key": "b", "content": "another cat", "title": "The of and"},
    )
    return client


async def check(client: httpx.AsyncClient, body: bytes) -> int:
    headers = {"content-type": "application/json"}
    response = await client.post("/v1/collections/docs/search", content=body, headers=headers)
    if response.status_code != 200:
        assert 400 <= response.status_code < 500, (body[:200], response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]
    return response.status_code


async def test_odd_queries_are_answered_or_refused_in_every_mode(filled: httpx.AsyncClient) -> None:
    for mode in MODES:
        for query in ODD:
            status = await check(filled, json.dumps({"query": query, "mode": mode, "highlight": True}).encode())
            refused = not query.strip() or "\x00" in query
            assert status == (400 if refused else 200), (mode, query[:50])


async def test_too_much_and_half_characters_are_refused(filled: httpx.AsyncClient) -> None:
    for mode in MODES:
        rest = f', "mode": "{mode}"}}'.encode()
        for given_ in (
            b'"' + b"x" * 1_000_000 + b'"',
            b'"\\ud83d"',
            b'"\\ud83d x \\ude00"',
            b'"\xff"',
            b'"\xed\xa0\x80"',
            b"{}",
        ):
            assert await check(filled, b'{"query": ' + given_ + rest) == 400, given_[:40]
            assert await check(filled, b'{"queries": ["x", ' + given_ + b"]" + rest) == 400, given_[:40]


async def test_no_text_makes_a_search_fail(filled: httpx.AsyncClient) -> None:
    drawn: list[str] = []

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.text(max_size=60), OPERATORS))
    def draw(query: str) -> None:
        drawn.append(query)

    draw()
    for query in dict.fromkeys(drawn):
        for mode in MODES:
            await check(filled, json.dumps({"query": query, "mode": mode, "highlight": True}).encode())
