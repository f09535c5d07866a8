"""Appending to chat sessions: one session under many writers, many sessions against bare asyncpg, long histories read.

    python -m bench.appends [--writers 50] [--each 200] [--seconds 8] [--long 100000]

The bare statements are the service's own three in one transaction, by eight asyncpg connections on the same server.
"""

import argparse
import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg

from bench.measure import Bench, Caller, describe, run_bench

CLIENTS = 8
RESERVE = """
UPDATE chat_session SET message_count = message_count + 1, last_message_at = clock_timestamp(),
    expires_at = CASE WHEN idle_days IS NULL THEN expires_at
                      ELSE clock_timestamp() + make_interval(days => idle_days) END
WHERE tenant_id = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > now()) RETURNING message_count
"""
INSERT = """
INSERT INTO chat_message (tenant_id, session_id, position, id, role, content, metadata)
VALUES ($1, $2, $3, $4, 'user', $5, '{}') RETURNING *
"""
TEXT = "How many days of paid leave do I have, and who decides when I take them?"


def append(caller: Caller, session_id: str, content: str = TEXT) -> dict[str, Any]:
    message: dict[str, Any] = caller.call(
        "POST", f"/v1/sessions/{session_id}/messages", {"role": "user", "content": content}
    )
    return message


def crowd_one_session(bench: Bench, writers: int, each: int) -> None:
    caller = Caller(bench.address)
    session_id = caller.call("POST", "/v1/sessions", {})["id"]

    def write(writer: int) -> None:
        own = Caller(bench.address)
        for number in range(each):
            append(own, session_id, f"{writer}/{number}")

    started = time.perf_counter()
    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(write, range(writers)))
    seconds = time.perf_counter() - started
    found: list[dict[str, Any]] = []
    while len(page := caller.call("GET", read_after(session_id, len(found)))["items"]):
        found += page
    gaps = sum(one["position"] != place for place, one in enumerate(found, start=1))
    twice = len(found) - len({one["content"] for one in found})
    lost = writers * each - len(found)
    print(f"{writers} writers of {each} to one session: {len(found) / seconds:.0f} appends/s", end="; ")
    print(f"{gaps} out of place, {lost} lost, {twice} twice")


def read_after(session_id: str, position: int) -> str:
    return f"/v1/sessions/{session_id}/messages?limit=1000&after={position}"


def count_served(bench: Bench, seconds: float) -> float:
    """Appends a second to sessions of their own."""
    sessions = [Caller(bench.address).call("POST", "/v1/sessions", {})["id"] for _ in range(CLIENTS)]
    deadline = time.perf_counter() + seconds

    def write(session_id: str) -> int:
        caller, done = Caller(bench.address), 0
        while time.perf_counter() < deadline:
            append(caller, session_id)
            done += 1
        return done

    with ThreadPoolExecutor(CLIENTS) as threads:
        return sum(threads.map(write, sessions)) / seconds


async def count_bare(bench: Bench, seconds: float) -> float:
    url = bench.database_url.replace("+asyncpg", "")
    connections = [await asyncpg.connect(url, timeout=60) for _ in range(CLIENTS)]
    tenant_id = await connections[0].fetchval("SELECT id FROM tenant")
    rows = await connections[0].fetch("SELECT id FROM chat_session ORDER BY created_at DESC LIMIT $1", CLIENTS)
    deadline = time.perf_counter() + seconds

    async def write(connection: Any, session_id: uuid.UUID) -> int:
        done = 0
        while time.perf_counter() < deadline:
            await connection.execute(f"BEGIN; SET LOCAL app.tenant = '{tenant_id}'")
            position = await connection.fetchval(RESERVE, tenant_id, session_id)
            await connection.fetchrow(INSERT, tenant_id, session_id, position, uuid.uuid4(), TEXT)
            await connection.execute("COMMIT")
            done += 1
        return done

    done = sum(await asyncio.gather(*[write(one, row["id"]) for one, row in zip(connections, rows, strict=True)]))
    for connection in connections:
        await connection.close()
    return done / seconds


def compare_lengths(bench: Bench, long: int) -> None:
    caller = Caller(bench.address)
    ids = []
    for count in (50, long):
        session_id = caller.call("POST", "/v1/sessions", {})["id"]
        for start in range(0, count, 1000):
            messages = [{"role": "user", "content": f"{TEXT} {n}"} for n in range(start, min(start + 1000, count))]
            caller.call("POST", f"/v1/sessions/{session_id}/messages", {"messages": messages})
        ids.append((count, session_id))
    seconds: dict[int, list[float]] = {count: [] for count, _ in ids}
    for _ in range(220):
        for count, session_id in ids:
            started = time.perf_counter()
            caller.call("GET", f"/v1/sessions/{session_id}/messages")
            seconds[count].append(time.perf_counter() - started)
    few, many = seconds[50][20:], seconds[long][20:]
    print(describe("newest 50 of 50", few))
    print(describe(f"newest 50 of {long}", many, few))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--long", type=int, default=100_000)
    options = parser.parse_args()
    with run_bench() as bench:
        crowd_one_session(bench, options.writers, options.each)
        for _ in range(3):
            served, bare = count_served(bench, options.seconds), asyncio.run(count_bare(bench, options.seconds))
            print(
                f"{CLIENTS} clients, a session each: {served:.0f} appends/s, bare {bare:.0f}/s, {served / bare:.2f} x"
            )
        compare_lengths(bench, options.long)


if __name__ == "__main__":
    main()
