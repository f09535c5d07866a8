import pytest

from ragstore.embedding.local import LocalEmbedder
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import ConfigurationError, Unprocessable
from ragstore.settings import Settings
from tests.fake_openai import FakeOpenAI


@pytest.fixture(autouse=True)
def no_provider_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RAGSTORE_EMBEDDING_MODEL"):
        monkeypatch.delenv(name, raising=False)


async def test_local_needs_no_settings() -> None:
    registry = EmbedderRegistry(Settings())
    await registry.load()
    assert registry.default_model == "local"
    embedder = registry.get("local")
    assert isinstance(embedder, LocalEmbedder)
    assert (embedder.model, embedder.dimensions) == ("local", 256)
    assert registry.get("local") is embedder
    await registry.close()


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}])
async def test_other_models_without_a_provider_are_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    registry = EmbedderRegistry(Settings())
    assert registry.default_model == "local"
    with pytest.raises(Unprocessable, match="set OPENAI_API_KEY or OPENAI_BASE_URL"):
        registry.get("text-embedding-3-small")


async def test_provider_models_are_cached_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    fake = FakeOpenAI()
    registry = EmbedderRegistry(Settings(), transport=fake.transport())
    assert registry.default_model == "text-embedding-3-small"
    embedder = registry.get("text-embedding-3-small")
    assert registry.get("text-embedding-3-small") is embedder
    assert registry.get("nomic-embed-text") is not embedder
    assert (await embedder.embed_query("a")).shape == (1536,)
    assert fake.calls[0].headers["authorization"] == "Bearer sk-test"
    await registry.close()
    with pytest.raises(Unprocessable, match="no name"):
        registry.get(" ")


async def test_a_base_url_that_is_none_is_named() -> None:
    registry = EmbedderRegistry(Settings(openai_base_url="localhost:11434"))
    with pytest.raises(ConfigurationError, match="OPENAI_BASE_URL"):
        registry.get("bge-m3")
