"""One text that a provider refuses does not spoil the others, and is found in few calls."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ragstore.embedding import partly
from ragstore.embedding.faults import TextsRefused
from ragstore.embedding.partly import PartlyEmbedded, embed_partly
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import ProviderUnavailable
from ragstore.settings import Settings
from tests.fake_openai import FakeOpenAI, Fault, fake_vector


async def embed(fake: FakeOpenAI, texts: Sequence[str], batch: int, **arguments: Any) -> PartlyEmbedded:
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = Settings.model_validate(values | {"embedding_batch_texts": batch})
    registry = EmbedderRegistry(settings, transport=fake.transport())
    try:
        return await embed_partly(registry.get("text-embedding-3-small"), texts, **arguments)
    finally:
        await registry.close()


@pytest.mark.parametrize("bad", [[0], [99], [41, 42], [7, 33, 80]])
async def test_the_refused_are_found_and_all_others_embedded(bad: list[int]) -> None:
    texts = [f"{'BAD' if number in bad else 'good'} {number}" for number in range(100)]
    fake = FakeOpenAI(refuses="BAD")
    seen: list[int] = []

    async def see(part: slice, vectors: Any) -> None:
        seen.extend(range(part.start, part.stop))

    found = await embed(fake, texts, 50, on_batch=see)
    assert sorted(found.refused) == bad
    assert all("scripted 400" in one.reason for one in found.refused.values())
    good = [number for number in range(100) if number not in bad]
    assert sorted(seen) == good
    np.testing.assert_array_equal(found.vectors[good], [fake_vector(texts[number]) for number in good])
    assert not found.vectors[bad].any()
    assert len(fake.calls) <= 2 + 12 * len(bad)


async def test_a_provider_that_refuses_everything_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partly, "MOST_HALVED", 5)
    fake = FakeOpenAI(refuses="")
    found = await embed(fake, [f"text {number}" for number in range(200)], 100)
    assert len(found.refused) == 200
    assert len(fake.calls) <= 2 + 2 * 5


async def test_what_comes_on_the_way_is_raised() -> None:
    fake = FakeOpenAI()
    fake.script(Fault(status=400), Fault(status=503))
    with pytest.raises(ProviderUnavailable) as caught:
        await embed(fake, ["a", "b"], 2)
    assert not isinstance(caught.value, TextsRefused)
    assert len(fake.calls) == 2
