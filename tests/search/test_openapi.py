"""What `/schema/openapi.json` says of searching is what the service does."""

from typing import Any

import httpx
import msgspec
import pytest

from ragstore.openapi_fields import FIELDS
from ragstore.openapi_search import ANSWERS, REQUESTS
from ragstore.search.schemas import BatchResults, CrossSearchRequest, Hit, SearchResults
from tests.builders import make_collection, upsert

PATHS = ("/v1/collections/{collection}/search", "/v1/search")
HANDBOOK: list[dict[str, Any]] = [
    {"key": "leave.md", "content": "Everyone has thirty days of paid leave a year.", "metadata": {"year": 2026}},
    {"key": "travel.md", "content": "Trains are booked in second class.", "metadata": {"year": 2025}},
]


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get("/schema/openapi.json")).json()
    return document


def find_anonymous(schema: Any, path: str) -> list[str]:
    """Objects with properties that stand inside another one instead of having a name."""
    if isinstance(schema, list):
        return [one for index, part in enumerate(schema) for one in find_anonymous(part, f"{path}[{index}]")]
    if not isinstance(schema, dict):
        return []
    found = [one for name, part in schema.items() for one in find_anonymous(part, f"{path}.{name}")]
    return [*found, path] if schema.get("type") == "object" and "properties" in schema else found


async def test_the_shapes_of_a_search_have_names(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path in PATHS:
        answer = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]
        assert answer["schema"] == {"$ref": "#/components/schemas/SearchAnswer"}
    assert [one["$ref"].rsplit("/", 1)[1] for one in schemas["SearchAnswer"]["oneOf"]] == [
        "SearchResults",
        "BatchResults",
    ]
    inside = [one for name, schema in schemas.items() for one in find_anonymous(schema, name) if one != name]
    assert inside == []
    assert find_anonymous(document["paths"], "paths") == []


async def test_every_field_of_a_search_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["CrossSearchRequest"]["properties"]) == set(CrossSearchRequest.__struct_fields__)
    for name in ("Question", "SearchRequest", "CrossSearchRequest"):
        assert [field for field, one in schemas[name]["properties"].items() if not one.get("description")] == []
    assert "cosine similarity" in schemas["Hit"]["description"]


async def test_every_operation_has_a_summary_in_words(document: dict[str, Any]) -> None:
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert [one["summary"] for one in operations if " " not in one["summary"]] == []
    assert document["paths"][PATHS[0]]["post"]["description"].startswith("The passages that answer best")


@pytest.mark.parametrize("example", REQUESTS)
async def test_every_example_of_a_request_is_answered(client: httpx.AsyncClient, example: str) -> None:
    await make_collection(client, "handbook")
    await upsert(client, *HANDBOOK, collection="handbook")
    document = (await client.get("/schema/openapi.json")).json()
    for path in PATHS:
        request = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"][example]
        answer = await client.post(path.format(collection="handbook"), json=request["value"])
        assert answer.status_code == 200, answer.text
        found = [answer.json()] if example != "batch" else answer.json()["results"]
        assert all(one["hits"] for one in found)


def test_the_examples_of_answers_have_every_field_and_no_other() -> None:
    for name, example in ANSWERS.items():
        kind = BatchResults if name == "batch" else SearchResults
        read = msgspec.convert(example["value"], kind)
        assert msgspec.json.decode(msgspec.json.encode(read)) == example["value"]
    assert set(Hit.__struct_fields__) - set(ANSWERS["hits"]["value"]["hits"][0]) == {"neighbors", "vector"}


async def test_every_field_of_an_answer_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for kind in FIELDS:
        properties = schemas[kind.__name__]["properties"]
        assert [field for field, one in properties.items() if not one.get("description")] == [], kind


async def test_a_minimum_of_zero_is_not_lost(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    weight = schemas["Fusion"]["properties"]["vector_weight"]
    assert (weight["minimum"], weight["maximum"]) == (0, 1)
    fields = [
        (name, field, one) for name, schema in schemas.items() for field, one in schema.get("properties", {}).items()
    ]
    assert [(name, field) for name, field, one in fields if "maximum" in one and "minimum" not in one] == []
