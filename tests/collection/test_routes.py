import httpx

from ragstore.paging import encode_cursor
from tests.builders import make_collection, paths_of, problem_of, upsert


async def test_a_collection_is_made_with_defaults_and_read_back(client: httpx.AsyncClient) -> None:
    made = await make_collection(client, title="Docs", metadata={"team": "a"})
    assert made["embedding_model"] == "local"
    assert made["chunking"] == {"size": 512, "overlap": 64, "strategy": "tokens", "prefix": "title"}
    assert made["language"] == "english"
    assert (await client.get("/v1/collections/docs")).json() == made


async def test_a_taken_name_is_a_conflict_that_names_the_field(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    problem = problem_of(await client.post("/v1/collections", json={"name": "docs"}), 409, "conflict")
    assert paths_of(problem) == ["name"]


async def test_collections_are_paged_by_name(client: httpx.AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await make_collection(client, name)
    first = (await client.get("/v1/collections", params={"limit": 2})).json()
    assert [one["name"] for one in first["items"]] == ["a", "b"]
    last = (await client.get("/v1/collections", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["name"] for one in last["items"]] == ["c"]
    assert last["next_cursor"] is None


async def test_an_update_changes_only_what_is_sent(client: httpx.AsyncClient) -> None:
    await make_collection(client, title="Docs", metadata={"team": "a"})
    changed = (await client.patch("/v1/collections/docs", json={"title": None, "name": "papers"})).json()
    assert (changed["name"], changed["title"], changed["metadata"]) == ("papers", None, {"team": "a"})
    assert (await client.get("/v1/collections/docs")).status_code == 404
    assert (await client.get("/v1/collections/papers")).json() == changed


async def test_deleting_takes_the_documents_along_and_says_how_many(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "one"}, {"key": "b", "content": "two"})
    assert (await client.delete("/v1/collections/docs")).json() == {"documents": 2, "chunks": 2, "files": 0}
    problem_of(await client.delete("/v1/collections/docs"), 404, "not-found")
    await make_collection(client)
    assert (await client.get("/v1/collections/docs/documents")).json()["items"] == []


async def test_an_unknown_field_is_refused_by_name(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections", json={"name": "docs", "tenant_id": "x"})
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["tenant_id"]


async def test_an_overlap_as_large_as_the_chunk_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections", json={"name": "docs", "chunking": {"size": 64, "overlap": 64}})
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["chunking.overlap"]


async def test_a_model_without_a_provider_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections", json={"name": "docs", "embedding_model": "text-embedding-3-large"})
    assert "OPENAI_API_KEY" in problem_of(response, 422, "unprocessable")["detail"]


async def test_metadata_that_postgres_cannot_hold_is_refused_by_path(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections", json={"name": "docs", "metadata": {"a": [{"b": "x\x00"}]}})
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["metadata.a[0].b"]


async def test_names_that_cannot_exist_are_not_found(client: httpx.AsyncClient) -> None:
    for name in ("%00", "a%20b", "..", "x" * 300):
        assert (await client.get(f"/v1/collections/{name}")).status_code == 404


async def test_chunking_is_changed_field_by_field(client: httpx.AsyncClient) -> None:
    made = await make_collection(client, chunking={"size": 64, "overlap": 0})
    assert made["chunking"] == {"size": 64, "overlap": 0, "strategy": "tokens", "prefix": "title"}
    changed = (await client.patch("/v1/collections/docs", json={"chunking": {"size": 256}})).json()
    assert changed["chunking"] == {"size": 256, "overlap": 0, "strategy": "tokens", "prefix": "title"}
    small = await make_collection(client, "small", chunking={"size": 32})
    assert small["chunking"] == {"size": 32, "overlap": 4, "strategy": "tokens", "prefix": "title"}


async def test_a_name_with_a_newline_behind_it_is_refused(client: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/v1/collections"), ("PATCH", "/v1/collections/docs")):
        if method == "PATCH":
            await make_collection(client)
        response = await client.request(method, path, json={"name": "docs\n"})
        assert paths_of(problem_of(response, 422, "unprocessable")) == ["name"]


async def test_a_model_name_that_cannot_be_one_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for name in ("x" * 300, "a\x00"):
        response = await client.post("/v1/collections", json={"name": "docs", "embedding_model": name})
        assert paths_of(problem_of(response, 422, "unprocessable")) == ["embedding_model"]


async def test_a_misspelt_parameter_is_refused_by_name(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/collections", params={"limt": 3})
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["limt"]


async def test_a_forged_cursor_is_refused(client: httpx.AsyncClient) -> None:
    for position in ("a\x00", "a b", 7, None):
        response = await client.get("/v1/collections", params={"cursor": encode_cursor(position)})
        problem_of(response, 400, "invalid-cursor")


async def test_what_is_chosen_for_ever_is_said_to_be_so(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    for name, value in (("language", "german"), ("metric", "l2"), ("embedding_model", "other")):
        answer = await client.patch("/v1/collections/docs", json={name: value})
        assert problem_of(answer, 400, "invalid-request")["detail"] == f"{name}: cannot be changed."
    other = await client.patch("/v1/collections/docs", json={"colour": "red"})
    assert other.json()["detail"] == "colour: is not a field here."
