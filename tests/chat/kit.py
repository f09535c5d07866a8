"""What tests of sessions and messages share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import event

from ragstore.database import Database

Item = dict[str, Any]


async def make_user(client: httpx.AsyncClient, email: str = "ada@example.com", **fields: Any) -> Item:
    response = await client.post("/v1/users", json={"email": email, **fields})
    assert response.status_code == 201, response.text
    made: Item = response.json()
    return made


async def make_session(client: httpx.AsyncClient, **fields: Any) -> Item:
    response = await client.post("/v1/sessions", json=fields)
    assert response.status_code in (200, 201), response.text
    made: Item = response.json()
    return made


async def say(client: httpx.AsyncClient, session_id: str, *messages: Item | str) -> list[Item]:
    """Texts are what a user says."""
    wanted = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    response = await client.post(f"/v1/sessions/{session_id}/messages", json={"messages": wanted})
    assert response.status_code == 201, response.text
    stored: list[Item] = response.json()["messages"]
    return stored


async def read(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


@asynccontextmanager
async def counting(database: Database) -> AsyncIterator[list[str]]:
    """The statements that SQLAlchemy sends meanwhile; those that begin and end transactions are not among them."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
