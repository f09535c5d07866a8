import httpx

from tests.builders import make_collection, paths_of, problem_of, search, upsert

CATS = {"key": "a/b.md", "content": "Cats sleep most of the day.", "title": "Cats", "metadata": {"year": 2020}}
DOGS = {"key": "a/chunks", "content": "Dogs chase balls in the park.", "source": "zoo", "metadata": {"year": 2021}}


async def test_a_document_reads_back_as_it_was_sent(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (result,) = await upsert(client, CATS | {"url": "https://example.org/cats", "source": "book"})
    read = (await client.get(f"/v1/collections/docs/documents/{result['id']}")).json()
    assert {name: read[name] for name in ("key", "content", "title", "source", "url", "metadata")} == {
        **CATS,
        "source": "book",
        "url": "https://example.org/cats",
    }
    assert (read["version"], read["chunk_count"]) == (1, 1)


async def test_a_list_finds_by_key_and_by_filter_and_leaves_content_out(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, CATS, DOGS)
    everything = (await client.get("/v1/collections/docs/documents")).json()["items"]
    assert [one["key"] for one in everything] == ["a/b.md", "a/chunks"]
    assert "content" not in everything[0]
    by_key = await client.get("/v1/collections/docs/documents", params={"key": "a/chunks", "include": "content"})
    assert [one["content"] for one in by_key.json()["items"]] == [DOGS["content"]]
    recent = await client.get("/v1/collections/docs/documents", params={"filter": '{"year": {"$gt": 2020}}'})
    assert [one["key"] for one in recent.json()["items"]] == ["a/chunks"]


async def test_lists_are_paged_without_gap_or_repeat(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{number}", "content": f"text {number}"} for number in range(7)])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        given = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/collections/docs/documents", params=given)).json()
        seen += [one["key"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == [f"{number}" for number in range(7)]


async def test_metadata_is_merged_and_nothing_is_embedded_again(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (result,) = await upsert(client, CATS)
    before = await search(client, query="cats")
    patch = {"metadata": {"year": None, "tags": ["x"]}, "source": "book"}
    changed = (await client.patch(f"/v1/collections/docs/documents/{result['id']}", json=patch)).json()
    assert (changed["metadata"], changed["source"], changed["version"]) == ({"tags": ["x"]}, "book", 2)
    after = await search(client, query="cats")
    assert after[0]["chunk_id"] == before[0]["chunk_id"]
    assert after[0]["metadata"] == {"tags": ["x"]}
    (again,) = await upsert(client, CATS | {"metadata": {"tags": ["x"]}, "source": "book"})
    assert again["status"] == "unchanged"


async def test_deleting_one_answers_204_then_404(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (result,) = await upsert(client, CATS)
    address = f"/v1/collections/docs/documents/{result['id']}"
    assert (await client.delete(address)).status_code == 204
    problem_of(await client.delete(address), 404, "not-found")
    assert await search(client, query="cats") == []
    counts = (await client.get("/v1/collections/docs")).json()
    assert (counts["document_count"], counts["chunk_count"]) == (0, 0)


async def test_deleting_by_key_or_filter_answers_how_many(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, CATS, DOGS)
    address = "/v1/collections/docs/documents"
    assert (await client.delete(address, params={"key": "none"})).json()["deleted"] == 0
    assert (await client.delete(address, params={"key": "a/b.md"})).json()["deleted"] == 1
    assert (await client.delete(address, params={"filter": '{"year": 2021}'})).json()["deleted"] == 1
    assert paths_of(problem_of(await client.delete(address), 400, "invalid-request")) == ["key"]


async def test_chunks_point_back_into_the_content_exactly(client: httpx.AsyncClient) -> None:
    await make_collection(client, chunking={"size": 32, "overlap": 8})
    content = "  " + " ".join(f"Sentence {number} 🐈 has a naïve end." for number in range(40)) + "\n"
    (result,) = await upsert(client, {"key": "long", "content": content})
    address = f"/v1/collections/docs/documents/{result['id']}/chunks"
    first = (await client.get(address, params={"limit": 5})).json()
    rest = (await client.get(address, params={"cursor": first["next_cursor"]})).json()
    chunks = first["items"] + rest["items"]
    assert result["chunks"] == len(chunks) > 5
    assert [one["ordinal"] for one in chunks] == list(range(len(chunks)))
    for one in chunks:
        assert content[one["start"] : one["end"]] == one["content"]
        assert 0 < one["token_count"] <= 32


async def test_a_filter_that_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    response = await client.get("/v1/collections/docs/documents", params={"filter": "{year: 1}"})
    assert paths_of(problem_of(response, 422, "invalid-filter")) == ["filter"]


async def test_nul_in_a_key_asked_for_is_refused_by_name(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    response = await client.get("/v1/collections/docs/documents", params={"key": "a\x00"})
    assert paths_of(problem_of(response, 422, "invalid-document")) == ["key"]


async def test_an_empty_filter_does_not_delete_everything(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, CATS)
    response = await client.delete("/v1/collections/docs/documents", params={"filter": "{}"})
    assert paths_of(problem_of(response, 422, "invalid-filter")) == ["filter"]


async def test_a_number_that_postgres_spells_otherwise_is_still_unchanged(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    document = CATS | {"metadata": {"big": 1e22, "whole": 2.0, "in": [{"deep": -0.0}]}}
    (first,) = await upsert(client, document)
    await client.patch(f"/v1/collections/docs/documents/{first['id']}", json={"metadata": {"x": 1}})
    await client.patch(f"/v1/collections/docs/documents/{first['id']}", json={"metadata": {"x": None}})
    (again,) = await upsert(client, document)
    assert again["status"] == "unchanged"
