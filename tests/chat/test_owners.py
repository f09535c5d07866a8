import httpx

from tests.builders import problem_of
from tests.chat.kit import make_session, make_user, read, say


async def test_a_user_goes_and_their_sessions_stay_unless_they_are_to_go_too(client: httpx.AsyncClient) -> None:
    ada, bob = await make_user(client), await make_user(client, "bob@example.com")
    hers, his = await make_session(client, user_id=ada["id"]), await make_session(client, user_id=bob["id"])
    assert (await client.delete(f"/v1/users/{ada['id']}")).status_code == 204
    assert (await read(client, f"/v1/sessions/{hers['id']}"))["user_id"] is None
    assert (await client.delete(f"/v1/users/{bob['id']}", params={"sessions": "delete"})).status_code == 204
    problem_of(await client.get(f"/v1/sessions/{his['id']}"), 404, "not-found")
    problem_of(await client.delete(f"/v1/users/{bob['id']}", params={"sessions": "delete"}), 404, "not-found")
    problem_of(await client.delete(f"/v1/users/{ada['id']}", params={"sessions": "burn"}), 400, "invalid-request")


async def test_users_are_listed_with_their_last_used_sessions(client: httpx.AsyncClient) -> None:
    ada, bob = await make_user(client), await make_user(client, "bob@example.com")
    first = await make_session(client, user_id=ada["id"])
    second = await make_session(client, user_id=ada["id"])
    await say(client, first["id"], "hello")
    listed = (await read(client, "/v1/users", include="sessions"))["items"]
    assert [one["id"] for one in listed] == [ada["id"], bob["id"]]
    assert [one["id"] for one in listed[0]["sessions"]] == [first["id"], second["id"]]
    assert listed[1]["sessions"] == []
    assert "sessions" not in (await read(client, "/v1/users"))["items"][0]


async def test_all_messages_of_a_user_are_read_newest_first(client: httpx.AsyncClient) -> None:
    ada, bob = await make_user(client, "Ada@Example.com"), await make_user(client, "bob@example.com")
    sessions = [(await make_session(client, user_id=ada["id"]))["id"] for _ in range(4)]
    other = await make_session(client, user_id=bob["id"])
    said: list[str] = []
    for turn in range(30):
        await say(client, sessions[turn * 7 % 4], f"{turn} a", f"{turn} b")
        said += [f"{turn} a", f"{turn} b"]
        await say(client, other["id"], "not mine")
    for limit in (7, 60, 1000):
        found: list[str] = []
        params = {"user_email": "ada@example.COM", "limit": limit}
        while True:
            page = await read(client, "/v1/messages", **params)
            found += [one["content"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert found == said[::-1]
    bare = await read(client, "/v1/messages", user_email="ada@example.com", format="openai", limit=2)
    assert bare == [{"role": "user", "content": "29 b"}, {"role": "user", "content": "29 a"}]


async def test_the_messages_of_nobody_are_refused(client: httpx.AsyncClient) -> None:
    problem_of(await client.get("/v1/messages", params={"user_email": "x@example.com"}), 404, "not-found")
    await make_user(client)
    assert (await read(client, "/v1/messages", user_email="ada@example.com"))["items"] == []
    for params in (
        {},
        {"user_email": "ada@example.com", "session_key": "k"},
        {"user_email": "ada@example.com", "before": "3"},
        {"user_email": "ada@example.com", "cursor": "bogus"},
    ):
        answer = await client.get("/v1/messages", params=params)
        problem_of(answer, 400, "invalid-cursor" if "cursor" in params else "invalid-request")
