import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.database import Database
from tests.builders import paths_of, problem_of
from tests.chat.kit import counting, make_session, make_user, read, say


async def expire(database: Database, session_id: str) -> None:
    async with database.engine.begin() as connection:
        statement = text("UPDATE chat_session SET expires_at = now() - interval '1 second' WHERE id = :id")
        await connection.execute(statement, {"id": session_id})


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def test_sessions_and_what_belongs_to_them_take_as_many_statements_however_many_there_are(
    client: httpx.AsyncClient, app: Litestar
) -> None:
    database = app.state.ragstore.database
    user = await make_user(client)
    counts = []
    for more in (1, 12):
        for _ in range(more):
            made = await make_session(client, user_id=user["id"])
            await say(client, made["id"], *(f"{number}" for number in range(3 * more)))
        async with counting(database) as seen:
            found = (await read(client, "/v1/sessions", include=["user", "messages"]))["items"]
        counts.append(len(seen))
        assert all(one["user"]["email"] == "ada@example.com" for one in found)
        assert {len(one["messages"]) for one in found} == {3 * more} | ({3} if more > 1 else set())
        async with counting(database) as seen:
            await read(client, f"/v1/sessions/{made['id']}", include=["user", "messages"])
        counts.append(len(seen))
        async with counting(database) as seen:
            owner = await read(client, f"/v1/users/{user['id']}", include="sessions")
        counts.append(len(seen))
        assert len(owner["sessions"]) == (1 if more == 1 else 13)
    assert counts[:3] == counts[3:] == [3, 3, 2]


async def test_what_is_included_is_the_newest_and_in_order(client: httpx.AsyncClient) -> None:
    one, other = await make_session(client), await make_session(client)
    for made in (one, other):
        await say(client, made["id"], *(f"{made['id']} {number}" for number in range(60)))
    found = (await read(client, "/v1/sessions", include="messages"))["items"]
    for session in found:
        assert [m["position"] for m in session["messages"]] == list(range(11, 61))
        assert all(m["content"].startswith(session["id"]) for m in session["messages"])
        assert "user" not in session
    assert "messages" not in await read(client, f"/v1/sessions/{one['id']}")
    problem_of(await client.get("/v1/sessions", params={"include": "keys"}), 400, "invalid-request")


async def test_a_session_without_an_owner_includes_nobody(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    assert (await read(client, f"/v1/sessions/{made['id']}", include="user"))["user"] is None


async def test_sessions_are_listed_by_user_and_whether_they_are_archived(client: httpx.AsyncClient) -> None:
    ada, bob = await make_user(client), await make_user(client, "bob@example.com")
    mine = [(await make_session(client, user_id=ada["id"], title=f"{n}"))["id"] for n in range(5)]
    await make_session(client, user_id=bob["id"])
    await client.patch(f"/v1/sessions/{mine[1]}", json={"archived": True})
    await say(client, mine[0], "again")
    listed: list[str] = []
    params: dict[str, str] = {"user_id": ada["id"], "archived": "false", "limit": "2"}
    while True:
        page = await read(client, "/v1/sessions", **params)
        listed += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert listed == [mine[0], mine[4], mine[3], mine[2]]
    archived = (await read(client, "/v1/sessions", archived="true"))["items"]
    assert [one["id"] for one in archived] == [mine[1]]
    assert archived[0]["archived_at"]
    back = await client.patch(f"/v1/sessions/{mine[1]}", json={"archived": False})
    assert back.json()["archived_at"] is None
    assert len((await read(client, "/v1/sessions"))["items"]) == 6


async def test_a_session_that_is_over_is_there_for_nobody(client: httpx.AsyncClient, database: Database) -> None:
    made = await make_session(client, key="k", expires_at=in_hours(1))
    await say(client, made["id"], "hello")
    await expire(database, made["id"])
    path = f"/v1/sessions/{made['id']}"
    for response in (
        await client.get(path),
        await client.get(f"{path}/messages"),
        await client.post(f"{path}/messages", json={"role": "user", "content": "x"}),
        await client.patch(path, json={"title": "x"}),
        await client.get(f"{path}/context", params={"max_tokens": 100}),
        await client.post(f"{path}/fork", json={}),
        await client.delete(path),
    ):
        problem_of(response, 404, "not-found")
    assert (await read(client, "/v1/sessions"))["items"] == []
    again = await make_session(client, key="k")
    assert again["id"] != made["id"]
    assert again["message_count"] == 0


async def test_each_message_puts_the_end_of_an_idle_session_off(client: httpx.AsyncClient, database: Database) -> None:
    made = await make_session(client, idle_days=2)
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE chat_session SET expires_at = now() + interval '1 minute'"))
    await say(client, made["id"], "hello")
    found = await read(client, f"/v1/sessions/{made['id']}")
    left = datetime.fromisoformat(found["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=1.9) < left < timedelta(days=2.1)
    fixed = await client.patch(f"/v1/sessions/{made['id']}", json={"expires_at": in_hours(5)})
    assert fixed.json()["idle_days"] is None
    kept = (await client.patch(f"/v1/sessions/{made['id']}", json={"idle_days": None})).json()
    assert (kept["expires_at"], kept["idle_days"]) == (None, None)


async def test_sessions_that_are_over_are_swept_away(client: httpx.AsyncClient, database: Database) -> None:
    over, stays = await make_session(client), await make_session(client, expires_at=in_hours(1))
    await say(client, over["id"], "hello")
    await expire(database, over["id"])
    async with database.engine.begin() as connection:
        swept = text("SELECT ragstore_sweep_chat_session(interval '0', 100)")
        assert (await connection.execute(swept)).scalar_one() == 1
        left = (await connection.execute(text("SELECT id::text FROM chat_session"))).scalars().all()
        assert (await connection.execute(text("SELECT count(*) FROM chat_message"))).scalar_one() == 0
    assert left == [stays["id"]]


async def test_a_fork_begins_with_the_same_messages_and_goes_its_own_way(client: httpx.AsyncClient) -> None:
    user = await make_user(client)
    made = await make_session(client, user_id=user["id"], title="T", metadata={"a": 1})
    sent = await say(client, made["id"], "one", {"role": "assistant", "content": "1", "model": "m"}, "two", "three")
    path = f"/v1/sessions/{made['id']}"
    forked = (await client.post(f"{path}/fork", json={"position": 2, "key": "f"})).json()
    assert (forked["title"], forked["metadata"], forked["user_id"]) == ("T", {"a": 1}, user["id"])
    assert (forked["forked_from"], forked["forked_at"], forked["message_count"]) == (made["id"], 2, 2)
    copied = (await read(client, f"/v1/sessions/{forked['id']}/messages"))["items"]
    own = ("id", "session_id")
    for one, original in zip(copied, sent[:2], strict=True):
        assert {n: v for n, v in one.items() if n not in own} == {n: v for n, v in original.items() if n not in own}
    await say(client, forked["id"], "another")
    assert (await read(client, path))["message_count"] == 4
    whole = (await client.post(f"{path}/fork", json={"title": None})).json()
    assert (whole["message_count"], whole["title"]) == (4, None)
    taken = await client.post(f"{path}/fork", json={"key": "f"})
    assert paths_of(problem_of(taken, 422, "unprocessable")) == ["key"]
    beyond = await client.post(f"{path}/fork", json={"position": 5})
    assert paths_of(problem_of(beyond, 422, "unprocessable")) == ["position"]
    await client.delete(path)
    assert (await read(client, f"/v1/sessions/{forked['id']}"))["forked_from"] is None


async def test_a_fork_beside_writers_has_a_prefix(wide_client: httpx.AsyncClient) -> None:
    made = await make_session(wide_client)

    async def write(number: int) -> None:
        for turn in range(10):
            await say(wide_client, made["id"], f"{number}/{turn} a", f"{number}/{turn} b")

    async def fork() -> str:
        return str((await wide_client.post(f"/v1/sessions/{made['id']}/fork", json={})).json()["id"])

    results = await asyncio.gather(*[write(n) for n in range(4)], *[fork() for _ in range(8)])
    whole = (await read(wide_client, f"/v1/sessions/{made['id']}/messages", limit=1000))["items"]
    for fork_id in results[4:]:
        part = (await read(wide_client, f"/v1/sessions/{fork_id}/messages", limit=1000))["items"]
        assert len(part) % 2 == 0
        assert [one["content"] for one in part] == [one["content"] for one in whole[: len(part)]]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
        ({"expires_at": "2040-01-01T00:00:00"}, 422, "expires_at"),
        ({"expires_at": "2040-01-01T00:00:00Z", "idle_days": 3}, 422, "idle_days"),
        ({"idle_days": 0}, 400, "idle_days"),
        ({"user_id": "00000000-0000-0000-0000-000000000000"}, 422, "user_id"),
        ({"title": "a\0b"}, 422, "title"),
    ],
)
async def test_a_bad_session_says_which_field(
    client: httpx.AsyncClient, body: dict[str, object], status: int, path: str
) -> None:
    slug = "invalid-request" if status == 400 else "unprocessable"
    assert paths_of(problem_of(await client.post("/v1/sessions", json=body), status, slug)) == [path]
    made = await make_session(client)
    changed = await client.patch(f"/v1/sessions/{made['id']}", json=body)
    assert paths_of(problem_of(changed, status, slug)) == [path]
