from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from ragstore.embedding.openai_compatible import split
from ragstore.embedding.provider import Embedder
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import ProviderFailed
from ragstore.settings import Settings
from tests.fake_openai import FakeOpenAI, Fault, fake_vector

SMALL = "text-embedding-3-small"


class Provider:
    """A fake provider and registries on it, closed at the end of the test."""

    def __init__(self) -> None:
        self.fake = FakeOpenAI()
        self.registries: list[EmbedderRegistry] = []

    def embedder(self, model: str = SMALL, **settings: Any) -> Embedder:
        values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
        registry = EmbedderRegistry(Settings.model_validate(values | settings), transport=self.fake.transport())
        self.registries.append(registry)
        return registry.get(model)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    yield made
    for registry in made.registries:
        await registry.close()


async def test_asks_for_base64_and_1536_dimensions_and_passes_vectors_through(provider: Provider) -> None:
    embedder = provider.embedder()
    vectors = await embedder.embed_documents(["a", "b"])
    np.testing.assert_array_equal(vectors, np.stack([fake_vector("a"), fake_vector("b")]))
    np.testing.assert_array_equal(await embedder.embed_query("b"), vectors[1])
    assert provider.fake.calls[0].body == {
        "model": SMALL,
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 1536,
    }
    assert provider.fake.calls[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("text-embedding-3-large", True),
        ("openai/text-embedding-3-small", True),
        ("text-embedding-ada-002", False),
        ("nomic-embed-text", False),
    ],
)
async def test_dimensions_are_sent_to_models_that_take_them(provider: Provider, model: str, asked: bool) -> None:
    await provider.embedder(model).embed_query("a")
    assert ("dimensions" in provider.fake.calls[0].body) is asked


@pytest.mark.parametrize("floats_only", [False, True])
async def test_narrower_answers_are_padded(provider: Provider, floats_only: bool) -> None:
    provider.fake.width, provider.fake.floats_only = 768, floats_only
    embedder = provider.embedder("nomic-embed-text")
    assert embedder.dimensions == 0
    vectors = await embedder.embed_documents(["a", "b"])
    np.testing.assert_array_equal(vectors[1, :768], fake_vector("b", 768))
    assert not vectors[:, 768:].any()
    assert embedder.dimensions == 768


async def test_wider_answers_and_changed_widths_are_refused(provider: Provider) -> None:
    embedder = provider.embedder("some-model")
    provider.fake.script(Fault(width=3072), Fault(width=512), Fault(width=384))
    with pytest.raises(ProviderFailed, match="3072 dimensions, at most 1536"):
        await embedder.embed_query("a")
    await embedder.embed_query("a")
    with pytest.raises(ProviderFailed, match="384 dimensions instead of 512"):
        await embedder.embed_query("a")
    provider.fake.script(Fault(width=512))
    with pytest.raises(ProviderFailed, match="512 dimensions instead of 1536"):
        await provider.embedder().embed_query("a")


async def test_vectors_of_other_lengths_are_scaled_to_1(provider: Provider) -> None:
    provider.fake.floats_only = True
    provider.fake.script(
        Fault(change=lambda items: [i | {"embedding": [9 * x for x in i["embedding"]]} for i in items])
    )
    vector = await provider.embedder().embed_query("a")
    np.testing.assert_allclose(vector, fake_vector("a"), rtol=1e-5, atol=1e-9)


async def test_nothing_is_sent_for_no_texts_or_empty_ones(provider: Provider) -> None:
    embedder = provider.embedder()
    assert (await embedder.embed_documents([])).shape == (0, 1536)
    with pytest.raises(ValueError, match="text 1 is empty"):
        await embedder.embed_documents(["a", " \n"])
    with pytest.raises(ValueError, match="text 0 is empty"):
        await embedder.embed_query("")
    assert provider.fake.calls == []


async def test_batches_keep_the_order_and_the_bound_on_calls(provider: Provider) -> None:
    embedder = provider.embedder(embedding_batch_texts=3, embedding_concurrency=2)
    texts = [f"text {n}" for n in range(20)]
    provider.fake.script(Fault(delay=0.05), Fault(delay=0.03), Fault(delay=0.01), Fault(delay=0.04))
    vectors = await embedder.embed_documents(texts)
    np.testing.assert_array_equal(vectors, np.stack([fake_vector(text) for text in texts]))
    assert sorted(len(call.texts) for call in provider.fake.calls) == [2, 3, 3, 3, 3, 3, 3]
    assert provider.fake.most_under_way == 2


async def test_batches_are_bounded_by_tokens(provider: Provider) -> None:
    embedder = provider.embedder(embedding_batch_tokens=8192)
    await embedder.embed_documents(["word " * 3000, "word " * 3000, "word " * 9000, "a", "b"])
    assert sorted(len(call.texts) for call in provider.fake.calls) == [1, 2, 2]


def test_split() -> None:
    assert list(split([], 3, 10)) == []
    assert list(split([99], 3, 10)) == [slice(0, 1)]
    assert list(split([5, 5, 1, 1, 1, 1], 3, 10)) == [slice(0, 2), slice(2, 5), slice(5, 6)]
    assert list(split([1, 99, 1], 3, 10)) == [slice(0, 1), slice(1, 2), slice(2, 3)]
