import hashlib
import time

import httpx
from argon2 import PasswordHasher
from sqlalchemy import text

from ragstore.database import Database
from tests.builders import paths_of, problem_of
from tests.chat.kit import make_user, read

RIGHT = "correct horse battery"


async def check(client: httpx.AsyncClient, email: str, password: str) -> dict[str, object]:
    response = await client.post("/v1/users/verify", json={"email": email, "password": password})
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


async def test_a_password_is_checked_and_never_read(client: httpx.AsyncClient, database: Database) -> None:
    user = await make_user(client, password=RIGHT)
    assert user["has_password"] is True
    assert not {"password", "password_hash"} & user.keys()
    for path in ("/v1/users", f"/v1/users/{user['id']}"):
        answer = await client.get(path)
        assert RIGHT not in answer.text
        assert "argon2" not in answer.text
    async with database.engine.begin() as connection:
        stored = (await connection.execute(text("SELECT password_hash FROM app_user"))).scalar_one()
    assert stored.startswith("$argon2id$")
    assert await check(client, "ADA@example.com", RIGHT) == {"valid": True, "user": user}
    for email, password in (("ada@example.com", "wrong horse"), ("x@example.com", RIGHT), ("", ""), ("ada", "a\0b")):
        assert await check(client, email, password) == {"valid": False, "user": None}


async def test_nobody_logs_in_who_is_not_active_or_has_no_password(client: httpx.AsyncClient) -> None:
    user = await make_user(client, password=RIGHT)
    await make_user(client, "bob@example.com")
    assert (await check(client, "bob@example.com", ""))["valid"] is False
    path = f"/v1/users/{user['id']}"
    await client.patch(path, json={"is_active": False})
    assert (await check(client, "ada@example.com", RIGHT))["valid"] is False
    await client.patch(path, json={"is_active": True, "password": "another one entirely"})
    assert (await check(client, "ada@example.com", RIGHT))["valid"] is False
    assert (await check(client, "ada@example.com", "another one entirely"))["valid"] is True
    await client.patch(path, json={"password": None})
    assert (await read(client, path))["has_password"] is False
    assert (await check(client, "ada@example.com", "another one entirely"))["valid"] is False


async def test_a_weak_or_endless_password_is_refused(client: httpx.AsyncClient) -> None:
    user = await make_user(client)
    for password in ("short", "x" * 1025):
        body = {"email": "new@example.com", "password": password}
        refused = problem_of(await client.post("/v1/users", json=body), 422, "unprocessable")
        assert paths_of(refused) == ["password"]
        changed = await client.patch(f"/v1/users/{user['id']}", json={"password": password})
        assert paths_of(problem_of(changed, 422, "unprocessable")) == ["password"]


async def test_a_user_who_is_not_there_takes_as_long(client: httpx.AsyncClient) -> None:
    await make_user(client, password=RIGHT)
    spent = []
    for email in ("ada@example.com", "nobody@example.com"):
        began = time.process_time()
        await check(client, email, "wrong horse")
        spent.append(time.process_time() - began)
    assert spent[1] > spent[0] / 3  # a missing user without a hash takes a hundredth


async def test_an_outdated_hash_is_renewed_when_the_password_comes_by(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_user(client, password=RIGHT)
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash(RIGHT)
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE app_user SET password_hash = :weak"), {"weak": weak})
    assert (await check(client, "ada@example.com", RIGHT))["valid"] is True
    async with database.engine.begin() as connection:
        stored = (await connection.execute(text("SELECT password_hash FROM app_user"))).scalar_one()
    assert not PasswordHasher().check_needs_rehash(stored)
    assert (await check(client, "ada@example.com", RIGHT))["valid"] is True


async def test_an_address_is_kept_in_its_usual_spelling(client: httpx.AsyncClient) -> None:
    assert (await make_user(client, " Ada.L@EXAMPLE.Com "))["email"] == "Ada.L@example.com"
    taken = await client.post("/v1/users", json={"email": "ada.l@example.com"})
    assert paths_of(problem_of(taken, 409, "conflict")) == ["email"]
    found = (await read(client, "/v1/users", email="ADA.L@example.com"))["items"]
    assert len(found) == 1
    for wrong in (
        "ada",
        "ada@",
        "@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        "ada@example..com",
        "a\0@b.com",
    ):
        refused = await client.post("/v1/users", json={"email": wrong})
        assert paths_of(problem_of(refused, 422, "unprocessable")) == ["email"]


async def test_a_password_is_in_no_fingerprint_of_a_request(client: httpx.AsyncClient, database: Database) -> None:
    body = {"email": "ada@example.com", "password": RIGHT}
    headers = {"Idempotency-Key": "k"}
    made = await client.post("/v1/users", json=body, headers=headers)
    assert (await client.post("/v1/users", json=body, headers=headers)).json() == made.json()
    other = await client.post("/v1/users", json=body | {"password": "another one"}, headers=headers)
    problem_of(other, 422, "idempotency-mismatch")
    async with database.engine.begin() as connection:
        statement = text("SELECT fingerprint, convert_from(body, 'UTF8') AS body FROM idempotency_record")
        (record,) = (await connection.execute(statement)).all()
    sent = made.request.content
    assert record.fingerprint != hashlib.sha256(b"POST /v1/users?\n" + sent).digest()
    assert RIGHT not in record.body
    checked = [await client.post("/v1/users/verify", json=body, headers={"Idempotency-Key": "v"}) for _ in range(2)]
    assert [one.json()["valid"] for one in checked] == [True, True]
