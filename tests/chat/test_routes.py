import asyncio

import httpx
import pytest
from sqlalchemy import text

from ragstore.database import Database
from tests.builders import open_session, paths_of, problem_of


async def append(client: httpx.AsyncClient, session_id: str, content: str, role: str = "user") -> dict[str, object]:
    response = await client.post(f"/v1/sessions/{session_id}/messages", json={"role": role, "content": content})
    assert response.status_code == 201, response.text
    message: dict[str, object] = response.json()
    return message


async def test_a_key_opens_one_session_however_often(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/sessions", json={"key": "a/b", "title": "T", "metadata": {"x": 1}})
    again = await client.post("/v1/sessions", json={"key": "a/b", "title": "other"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (await client.get(f"/v1/sessions/{first.json()['id']}")).json() == first.json()


async def test_messages_come_back_in_order_with_what_was_sent(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    sent = {"role": "assistant", "content": "hé\n🐈", "tokens_used": 3, "model": "m", "metadata": {"a": [1]}}
    await append(client, session_id, "hello")
    response = await client.post(f"/v1/sessions/{session_id}/messages", json=sent)
    stored = response.json()
    assert {name: stored[name] for name in sent} == sent
    assert stored["position"] == 2
    items = (await client.get(f"/v1/sessions/{session_id}/messages")).json()["items"]
    assert [one["content"] for one in items] == ["hello", "hé\n🐈"]
    assert items[1] == stored
    bare = await client.get(f"/v1/sessions/{session_id}/messages", params={"format": "openai"})
    assert bare.json() == [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hé\n🐈"}]


async def test_the_newest_fifty_are_given_oldest_first(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    many = [{"role": "user", "content": f"{number}"} for number in range(1, 121)]
    response = await client.post(f"/v1/sessions/{session_id}/messages", json={"messages": many})
    assert [one["position"] for one in response.json()["messages"]] == list(range(1, 121))
    address = f"/v1/sessions/{session_id}/messages"
    newest = (await client.get(address)).json()["items"]
    assert [one["position"] for one in newest] == list(range(71, 121))
    before = (await client.get(address, params={"before": 71, "limit": 10})).json()["items"]
    assert [one["position"] for one in before] == list(range(61, 71))
    after = (await client.get(address, params={"after": 0, "limit": 3})).json()["items"]
    assert [one["content"] for one in after] == ["1", "2", "3"]


async def test_a_message_by_key_makes_the_session(client: httpx.AsyncClient) -> None:
    for content in ("one", "two"):
        body = {"session_key": "s", "role": "user", "content": content}
        assert (await client.post("/v1/messages", json=body)).status_code == 201
    found = await client.get("/v1/messages", params={"session_key": "s"})
    assert [one["content"] for one in found.json()["items"]] == ["one", "two"]
    problem_of(await client.get("/v1/messages", params={"session_key": "none"}), 404, "not-found")


async def test_several_messages_are_stored_together_or_not_at_all(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    bad = {"messages": [{"role": "user", "content": "fine"}, {"role": "user", "content": "\x00"}]}
    response = await client.post(f"/v1/sessions/{session_id}/messages", json=bad)
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["messages[1].content"]
    assert (await client.get(f"/v1/sessions/{session_id}/messages")).json()["items"] == []


async def test_positions_have_no_gap_under_fifty_writers(wide_client: httpx.AsyncClient, database: Database) -> None:
    session_id = await open_session(wide_client)

    async def write(writer: int) -> None:
        for number in range(5):
            await append(wide_client, session_id, f"{writer}/{number}")

    await asyncio.gather(*(write(writer) for writer in range(50)))
    async with database.transaction() as session:
        connection = await session.connection()
        rows = (
            await connection.execute(text("SELECT position, content, created_at FROM chat_message ORDER BY position"))
        ).all()
    assert [row.position for row in rows] == list(range(1, 251))
    assert len({row.content for row in rows}) == 250
    for writer in range(50):
        own = [row.content for row in rows if row.content.startswith(f"{writer}/")]
        assert own == [f"{writer}/{number}" for number in range(5)]
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)


async def test_sessions_are_listed_last_used_first(client: httpx.AsyncClient) -> None:
    ids = [await open_session(client, key=f"{number}") for number in range(4)]
    await append(client, ids[0], "again")
    first = (await client.get("/v1/sessions", params={"limit": 3})).json()
    rest = (await client.get("/v1/sessions", params={"cursor": first["next_cursor"]})).json()
    listed = [one["id"] for one in first["items"] + rest["items"]]
    assert listed == [ids[0], ids[3], ids[2], ids[1]]


async def test_a_session_is_renamed_and_deleted_with_its_messages(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client, key="s")
    await append(client, session_id, "hello")
    renamed = await client.patch(f"/v1/sessions/{session_id}", json={"title": "New", "metadata": {"a": 1}})
    assert (renamed.json()["title"], renamed.json()["metadata"]) == ("New", {"a": 1})
    assert (await client.delete(f"/v1/sessions/{session_id}")).status_code == 204
    problem_of(await client.get(f"/v1/sessions/{session_id}/messages"), 404, "not-found")
    problem_of(await client.delete(f"/v1/sessions/{session_id}"), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 400, "messages"),
        ({"role": "user"}, 400, "content"),
        ({"role": "robot", "content": "x"}, 400, "role"),
        ({"role": "user", "content": "x", "messages": []}, 400, "messages"),
        ({"role": "user", "content": "x", "tokens_used": -1}, 400, "tokens_used"),
        ({"role": "user", "content": "x", "tokens_used": 2**31}, 400, "tokens_used"),
        ({"role": "user", "content": "x", "position": 7}, 400, "position"),
    ],
)
async def test_a_bad_message_says_which_field(
    client: httpx.AsyncClient, body: dict[str, object], status: int, path: str
) -> None:
    session_id = await open_session(client)
    response = await client.post(f"/v1/sessions/{session_id}/messages", json=body)
    assert paths_of(problem_of(response, status, "invalid-request")) == [path]


async def test_the_cursor_of_a_message_list_goes_on_in_both_directions(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    many = [{"role": "user", "content": f"{number}"} for number in range(1, 121)]
    await client.post(f"/v1/sessions/{session_id}/messages", json={"messages": many})
    address = f"/v1/sessions/{session_id}/messages"
    for start, expected in (({}, [(71, 120), (21, 70), (1, 20)]), ({"after": "0"}, [(1, 50), (51, 100), (101, 120)])):
        seen: list[tuple[int, int]] = []
        params: dict[str, str] = dict(start)
        while True:
            page = (await client.get(address, params=params)).json()
            seen.append((page["items"][0]["position"], page["items"][-1]["position"]))
            if page["next_cursor"] is None:
                break
            params = {"cursor": page["next_cursor"]}
        assert seen == expected


async def test_fields_of_a_single_message_beside_several_are_refused(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    body = {"messages": [{"role": "user", "content": "x"}], "tokens_used": 5, "model": "m"}
    response = await client.post(f"/v1/sessions/{session_id}/messages", json=body)
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["tokens_used", "model"]
