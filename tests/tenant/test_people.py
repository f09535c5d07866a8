import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar

from tests.builders import make_collection, paths_of, problem_of


async def issue(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    response = await client.post("/v1/keys", json={"name": "k", "scopes": ["read"]} | values)
    assert response.status_code == 201, response.text
    issued: dict[str, Any] = response.json()
    return issued


async def test_a_key_is_shown_once_and_then_only_described(app: Litestar, client: httpx.AsyncClient) -> None:
    issued = await issue(client, scopes=["write", "write"], expires_at="2099-01-01T00:00:00Z")
    assert issued["key"].startswith(issued["prefix"] + "_")
    listed = (await client.get("/v1/keys")).json()["items"]
    assert [one["name"] for one in listed] == ["first admin key", "k"]
    assert issued["key"] not in str(listed)
    assert {name: value for name, value in issued.items() if name != "key"} == listed[1]
    use = {"Authorization": f"Bearer {issued['key']}"}
    assert (await client.post("/v1/collections", json={"name": "x"}, headers=use)).status_code == 201
    assert (await client.get(f"/v1/keys/{issued['id']}")).json()["last_used_at"] is not None
    problem_of(await client.get("/v1/keys", headers=use), 403, "not-allowed")


async def test_the_secret_of_a_key_is_not_kept_for_a_replay(client: httpx.AsyncClient) -> None:
    sent = {"json": {"name": "k", "scopes": ["read"]}, "headers": {"Idempotency-Key": "a"}}
    first = (await client.post("/v1/keys", **sent)).json()  # type: ignore[arg-type]  # keywords of different types
    again = (await client.post("/v1/keys", **sent)).json()  # type: ignore[arg-type]  # as above
    assert first["key"]
    assert again == first | {"key": None}


async def test_a_revoked_key_is_refused_at_once_in_this_process(client: httpx.AsyncClient) -> None:
    issued = await issue(client)
    use = {"Authorization": f"Bearer {issued['key']}"}
    assert (await client.get("/v1/collections", headers=use)).status_code == 200
    assert (await client.delete(f"/v1/keys/{issued['id']}")).status_code == 204
    problem_of(await client.get("/v1/collections", headers=use), 401, "not-authenticated")
    assert (await client.delete(f"/v1/keys/{issued['id']}")).status_code == 204
    assert (await client.get(f"/v1/keys/{issued['id']}")).json()["revoked_at"] is not None


async def test_a_key_expires_when_it_says(client: httpx.AsyncClient) -> None:
    issued = await issue(client, expires_at="2099-01-01T00:00:00Z")
    use = {"Authorization": f"Bearer {issued['key']}"}
    assert (await client.get("/v1/collections", headers=use)).status_code == 200
    past = await client.patch(f"/v1/keys/{issued['id']}", json={"expires_at": "2001-01-01T00:00:00Z"})
    assert paths_of(problem_of(past, 422, "unprocessable")) == ["expires_at"]
    for_ever = await client.patch(f"/v1/keys/{issued['id']}", json={"expires_at": None, "name": "renamed"})
    assert (for_ever.json()["expires_at"], for_ever.json()["name"]) == (None, "renamed")


async def test_the_key_that_asks_cannot_revoke_itself(client: httpx.AsyncClient) -> None:
    own = (await client.get("/v1/keys")).json()["items"][0]["id"]
    problem_of(await client.delete(f"/v1/keys/{own}"), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"name": "k", "scopes": []}, 422, "scopes"),
        ({"name": " ", "scopes": ["read"]}, 422, "name"),
        ({"name": "k", "scopes": ["root"]}, 400, "scopes[0]"),
        ({"name": "k", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00"}, 422, "expires_at"),
        ({"name": "k", "scopes": ["read"], "key": "chosen"}, 400, "key"),
    ],
)
async def test_a_bad_key_says_which_field(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, path: str
) -> None:
    slug = "invalid-request" if status == 400 else "unprocessable"
    assert paths_of(problem_of(await client.post("/v1/keys", json=body), status, slug)) == [path]


async def test_a_user_is_made_changed_listed_and_deleted(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/users", json={"email": "Anna@Example.org", "name": "Anna"})).json()
    assert (made["email"], made["is_active"]) == ("Anna@example.org", True)
    assert "password_hash" not in made
    taken = await client.post("/v1/users", json={"email": "anna@example.org"})
    assert paths_of(problem_of(taken, 409, "conflict")) == ["email"]
    changed = (await client.patch(f"/v1/users/{made['id']}", json={"is_active": False})).json()
    assert (changed["is_active"], changed["name"]) == (False, "Anna")
    await client.post("/v1/users", json={"email": "bob@example.org"})
    active = (await client.get("/v1/users", params={"is_active": "true"})).json()["items"]
    assert [one["email"] for one in active] == ["bob@example.org"]
    found = (await client.get("/v1/users", params={"email": "ANNA@example.org"})).json()["items"]
    assert [one["id"] for one in found] == [made["id"]]
    session = (await client.post("/v1/sessions", json={"user_id": made["id"]})).json()
    assert (await client.delete(f"/v1/users/{made['id']}")).status_code == 204
    problem_of(await client.delete(f"/v1/users/{made['id']}"), 404, "not-found")
    assert (await client.get(f"/v1/sessions/{session['id']}")).json()["user_id"] is None


async def test_of_many_who_take_an_email_at_once_one_gets_it(wide_client: httpx.AsyncClient) -> None:
    sent = [wide_client.post("/v1/users", json={"email": "a@example.org"}) for _ in range(10)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*sent))
    assert statuses == [201] + [409] * 9


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c", "a@b\x00", "a@" + "x" * 400])
async def test_what_is_no_email_is_refused_by_name(client: httpx.AsyncClient, email: str) -> None:
    problem = problem_of(await client.post("/v1/users", json={"email": email}), 422, "unprocessable")
    assert set(paths_of(problem)) == {"email"}


async def test_a_session_cannot_belong_to_somebody_unknown(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/v1/sessions", json={"user_id": "00000000-0000-7000-8000-000000000000"})
    assert paths_of(problem_of(unknown, 422, "unprocessable")) == ["user_id"]


async def test_people_and_keys_of_another_tenant_are_not_there(
    app: Litestar, client: httpx.AsyncClient, stranger_key: str
) -> None:
    issued = await issue(client)
    user = (await client.post("/v1/users", json={"email": "a@example.org"})).json()
    await make_collection(client)
    headers = {"Authorization": f"Bearer {stranger_key}"}
    for method, path in (
        ("GET", f"/v1/keys/{issued['id']}"),
        ("PATCH", f"/v1/keys/{issued['id']}"),
        ("DELETE", f"/v1/keys/{issued['id']}"),
        ("GET", f"/v1/users/{user['id']}"),
        ("PATCH", f"/v1/users/{user['id']}"),
        ("DELETE", f"/v1/users/{user['id']}"),
    ):
        body = {"name": "mine now"} if method == "PATCH" else None
        problem_of(await client.request(method, path, json=body, headers=headers), 404, "not-found")
    assert len((await client.get("/v1/keys", headers=headers)).json()["items"]) == 1
    assert (await client.get("/v1/users", headers=headers)).json()["items"] == []
    assert (await client.post("/v1/users", json={"email": "a@example.org"}, headers=headers)).status_code == 201
