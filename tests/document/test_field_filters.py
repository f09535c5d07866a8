import httpx

from tests.builders import make_collection, search, upsert


async def test_fields_of_the_document_can_be_asked_for(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    first, second = await upsert(
        client, {"key": "a/1", "content": "one", "source": "book"}, {"key": "b/2", "content": "two"}
    )

    async def keys(condition: dict[str, object]) -> set[str]:
        return {hit["document_key"] for hit in await search(client, query="number", filter=condition)}

    assert await keys({"@key": "a/1"}) == {"a/1"}
    assert await keys({"@key": {"$in": ["b/2", "none"]}}) == {"b/2"}
    assert await keys({"@key": {"$gt": "a/1"}}) == {"b/2"}
    assert await keys({"@key": {"$contains": "/"}}) == {"a/1", "b/2"}
    assert await keys({"@source": "book"}) == {"a/1"}
    assert await keys({"@source": {"$ne": "book"}}) == {"b/2"}
    assert await keys({"@source": {"$exists": False}}) == {"b/2"}
    assert await keys({"@source": None}) == {"b/2"}
    assert await keys({"@document_id": first["id"]}) == {"a/1"}
    assert await keys({"@document_id": {"$nin": [first["id"]]}}) == {"b/2"}
    assert await keys({"@created_at": {"$gte": "2020-01-01"}}) == {"a/1", "b/2"}
    assert await keys({"@created_at": {"$lt": "2020-01-01T00:00:00+02:00"}}) == set()
    assert second["id"] != first["id"]
