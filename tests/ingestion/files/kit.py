from typing import Any

import httpx

FILES = "/v1/collections/docs/files"


async def upload(
    client: httpx.AsyncClient, *files: tuple[str, bytes], wait: bool | None = True, **fields: str
) -> httpx.Response:
    parts = [("file", (name, content, "application/x-whatever")) for name, content in files]
    params = {} if wait is None else {"wait": str(wait).lower()}
    return await client.post(FILES, files=parts, data=fields, params=params)


async def upload_one(client: httpx.AsyncClient, name: str, content: bytes, **fields: str) -> dict[str, Any]:
    response = await upload(client, (name, content), wait=True, **fields)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()["results"][0]
    return result


async def read_document(client: httpx.AsyncClient, document_id: str) -> dict[str, Any]:
    response = await client.get(f"/v1/collections/docs/documents/{document_id}")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document
