"""A text that the provider does not take fails its document, and no other."""

from typing import Any

from tests.builders import make_collection, problem_of, search, upsert
from tests.conftest import running
from tests.fake_openai import FakeOpenAI, Fault
from tests.ingestion.stored import provided_app, texts_of

URL = "/v1/collections/docs/documents"


async def test_one_refused_passage_fails_its_document_alone(database_url: str) -> None:
    fake = FakeOpenAI(refuses="BAD")
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        documents: list[dict[str, Any]] = [{"key": str(number), "content": f"good {number}"} for number in range(30)]
        await upsert(client, documents[3])
        documents[3] = {"key": "3", "chunks": [{"content": "first"}, {"content": "BAD"}]}
        documents[9] = {"key": "9", "content": "x " * 600 + "BAD"}
        results = await upsert(client, *documents)
        assert [int(one["key"]) for one in results if one["status"] == "failed"] == [3, 9]
        assert all(one["error"]["type"] == "urn:ragstore:error:provider-refused" for one in (results[3], results[9]))
        (fault,) = results[3]["error"]["errors"]
        assert fault["path"] == "documents[3].chunks[1]"
        assert fault["message"] == ("is refused by the model provider for text-embedding-3-small (400): scripted 400")
        (fault,) = results[9]["error"]["errors"]
        assert fault["path"] == "documents[9].content"
        assert "to 1203 (passage 1) is refused" in fault["message"]
        (hit,) = await search(client, query="good 3", mode="text", top_k=1)
        assert hit["content"] == "good 3"
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 29
        fake.refuses, fake.calls = None, []
        again = await upsert(client, *documents)
        assert [one["status"] for one in again].count("unchanged") == 28
        assert all("BAD" in text for text in texts_of(fake))


async def test_a_post_of_which_nothing_is_taken_is_refused(database_url: str) -> None:
    fake = FakeOpenAI(refuses="BAD")
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        response = await client.post(URL, json={"documents": [{"content": "BAD"}]})
        problem = problem_of(response, 502, "provider-refused")
        assert problem["errors"][0]["path"] == "documents[0].content"
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 0


async def test_an_outage_beside_a_refused_text_stores_nothing_and_says_when_to_come_back(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        fake.script(Fault(status=400), Fault(status=429, headers={"retry-after": "9"}))
        response = await client.post(URL, json={"documents": [{"content": "a"}, {"content": "b"}]})
        problem_of(response, 503, "provider-unavailable")
        assert response.headers["retry-after"] == "9"
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 0
