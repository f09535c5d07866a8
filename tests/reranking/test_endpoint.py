from collections.abc import AsyncIterator
from typing import Any

import pytest

from ragstore.app import make_state, run_state
from ragstore.errors import ConfigurationError
from ragstore.reranking.endpoint import make_reranker
from ragstore.reranking.reranker import Reranker
from ragstore.settings import Settings, load_settings
from tests.conftest import make_settings
from tests.fake_reranker import URL, FakeReranker, Fault

TEXTS = ["red fish", "one two fish", "blue", "two red fish swim"]


def configure(**values: Any) -> Settings:
    given = {"rerank_url": URL, "rerank_model": "ranker-1", "rerank_api_key": "sk-test"}
    return Settings.model_validate(given | values)


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> FakeReranker:
    return FakeReranker(getattr(request, "param", "cohere"))


@pytest.fixture
async def reranker(fake: FakeReranker) -> AsyncIterator[Reranker]:
    made = make_reranker(configure(rerank_style=fake.style), transport=fake.transport())
    assert made is not None
    yield made
    await made.close()


@pytest.mark.parametrize("fake", ["cohere", "voyage", "tei"], indirect=True)
async def test_each_style_is_asked_and_understood(fake: FakeReranker, reranker: Reranker) -> None:
    ranked = await reranker.rerank("two red fish", TEXTS)
    assert (ranked.order, ranked.scores) == ([3, 0, 1, 2], [2, 2, 0, 3])
    assert fake.calls[0].headers["authorization"] == "Bearer sk-test"
    assert fake.calls[0].headers["accept-encoding"] == "identity"
    asked = {"model": "ranker-1", "query": "two red fish", "documents": TEXTS, "return_documents": False}
    assert (
        fake.calls[0].body
        == {
            "cohere": asked | {"top_n": 4},
            "voyage": asked | {"top_k": 4},
            "tei": {"query": "two red fish", "texts": TEXTS, "truncate": True, "return_text": False},
        }[fake.style]
    )


async def test_the_order_is_that_of_the_scores_and_not_of_the_answer(fake: FakeReranker, reranker: Reranker) -> None:
    fake.script(Fault(change=lambda items: items[::-1]))
    assert (await reranker.rerank("two red fish", TEXTS)).order == [3, 0, 1, 2]


async def test_texts_left_out_follow_in_their_order(fake: FakeReranker, reranker: Reranker) -> None:
    fake.script(Fault(change=lambda items: [item for item in items if item["index"] in (2, 3)]))
    ranked = await reranker.rerank("two red fish", TEXTS)
    assert (ranked.order, ranked.scores) == ([3, 2, 0, 1], [None, None, 0.0, 3.0])


async def test_a_text_that_is_left_out_follows_one_with_a_negative_score(
    fake: FakeReranker, reranker: Reranker
) -> None:
    fake.script(Fault(body=b'{"results": [{"index": 3, "relevance_score": -11.5}], "meta": {"warnings": [1]}}'))
    ranked = await reranker.rerank("two red fish", TEXTS)
    assert (ranked.order, ranked.scores) == ([3, 0, 1, 2], [None, None, None, -11.5])


async def test_blank_texts_are_not_sent(fake: FakeReranker, reranker: Reranker) -> None:
    ranked = await reranker.rerank("fish", ["", "no", " \n", "fish"])
    assert (ranked.order, ranked.scores) == ([3, 1, 0, 2], [None, 0.0, None, 1.0])
    assert (fake.calls[0].body["documents"], fake.calls[0].body["top_n"]) == (["no", "fish"], 2)


@pytest.mark.parametrize(("query", "texts"), [("fish", []), ("fish", ["", " "]), (" ", ["a", "b"])])
async def test_with_nothing_to_compare_nobody_is_asked(
    fake: FakeReranker, reranker: Reranker, query: str, texts: list[str]
) -> None:
    ranked = await reranker.rerank(query, texts)
    assert (ranked.order, ranked.scores) == (list(range(len(texts))), [None] * len(texts))
    assert fake.calls == []


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_none_is_sent(fake: FakeReranker, key: str | None) -> None:
    reranker = make_reranker(configure(rerank_api_key=key), transport=fake.transport())
    assert reranker is not None
    await reranker.rerank("fish", ["fish"])
    await reranker.close()
    assert "authorization" not in fake.calls[0].headers


def test_it_is_off_by_default_and_sends_fifty() -> None:
    assert make_reranker(Settings()) is None
    reranker = make_reranker(configure())
    assert reranker is not None
    assert reranker.candidates == 50


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"URL": "reranker:80/rerank", "MODEL": "m"}, "RAGSTORE_RERANK_URL"),
        ({"URL": "http://two words/", "MODEL": "m"}, "RAGSTORE_RERANK_URL"),
        ({"URL": URL}, "RAGSTORE_RERANK_URL needs RAGSTORE_RERANK_MODEL"),
        ({"URL": URL, "MODEL": "m", "API_KEY": "sk-secret\n"}, "RAGSTORE_RERANK_API_KEY: .*printable ASCII"),
        ({"URL": URL, "MODEL": "m", "API_KEY": "sk-secrét"}, "RAGSTORE_RERANK_API_KEY: .*printable ASCII"),
        ({"URL": URL, "MODEL": "m", "STYLE": "bing"}, "RAGSTORE_RERANK_STYLE"),
        ({"URL": URL, "MODEL": "m", "TIMEOUT": "0"}, "RAGSTORE_RERANK_TIMEOUT"),
        ({"URL": URL, "MODEL": "m", "CANDIDATES": "0"}, "RAGSTORE_RERANK_CANDIDATES"),
    ],
)
def test_wrong_settings_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"RAGSTORE_RERANK_{name}", value)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_settings()
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://:80", "https:///rerank", "http://host:99999/", "http://[::1"])
def test_a_url_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RAGSTORE_RERANK_URL must be the whole URL"):
        make_reranker(configure(rerank_url=url))


async def test_the_application_has_one_and_closes_it(
    database_url: str, fake: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(database_url, rerank_url=URL, rerank_model="m", run_jobs=False)
    assert make_state(settings).reranker is not None
    assert make_state(make_settings(database_url, run_jobs=False)).reranker is None
    reranker = make_reranker(settings, transport=fake.transport())
    state = make_state(settings, reranker=reranker)
    assert state.reranker is reranker is not None
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    monkeypatch.setattr(reranker, "close", close)
    async with run_state(state):
        assert closed == []
    assert closed == [True]
