"""The world of a test in a line or two, through the API as users would."""

from typing import Any

import httpx


async def make_collection(client: httpx.AsyncClient, name: str = "docs", **values: Any) -> dict[str, Any]:
    response = await client.post("/v1/collections", json={"name": name} | values)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def upsert(client: httpx.AsyncClient, *documents: Any, collection: str = "docs") -> list[dict[str, Any]]:
    body, params = {"documents": list(documents)}, {"wait": True}  # however many they are
    response = await client.post(f"/v1/collections/{collection}/documents", json=body, params=params)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def search(client: httpx.AsyncClient, collection: str = "docs", **request: Any) -> list[dict[str, Any]]:
    response = await client.post(f"/v1/collections/{collection}/search", json=request)
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["hits"]
    return hits


async def open_session(client: httpx.AsyncClient, **values: Any) -> str:
    response = await client.post("/v1/sessions", json=values)
    assert response.status_code in (200, 201), response.text
    session_id: str = response.json()["id"]
    return session_id


def problem_of(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem of an error answer, checked to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:ragstore:error:{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def paths_of(problem: dict[str, Any]) -> list[str]:
    return [one["path"] for one in problem["errors"]]
