"""A service with a scripted provider, and what it stored."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from tests.conftest import make_settings
from tests.fake_openai import FakeOpenAI


def provided_app(database_url: str, fake: FakeOpenAI, **values: Any) -> Litestar:
    provider = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **(provider | values))
    return create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))


def texts_of(fake: FakeOpenAI) -> list[str]:
    """Every text that was paid for, in the order of the calls."""
    return [one for call in fake.calls for one in call.texts]


async def read_rows(database: Database, sql: str) -> Sequence[Any]:
    """Of all tenants."""
    async with database.engine.connect() as connection:
        return (await connection.execute(text(sql))).all()
