"""What the OpenAPI document says of searching in words and examples. Pure."""

from typing import Any

from ragstore.openapi_fields import describe

FIELDS = {
    "query": 'A text. `"a phrase"` must occur and `-word` must not, unless it is a sentence or over 256 characters.',
    "vector": "Numbers, or little-endian float32 as base64; of the model's width or 1536.",
    "like": "A passage or document that is stored, in place of a query. It is not among the hits.",
    "queries": "Up to 100 questions, in place of one; the answer is a `BatchResults`.",
    "mode": "`vector` by meaning, `text` by words, `hybrid` by both. Left out: `hybrid`; `vector` for a vector alone.",
    "top_k": "Passages wanted; with `group_by`, documents; with `paging`, the size of a page.",
    "filter": "A condition on `metadata` and the fields `@key`, `@source`, `@created_at`, `@document_id`.",
    "min_score": "Only hits with this score or more.",
    "group_by": "`document`: the passages of a document stand together, by its best.",
    "per_group": "Passages of each document at most.",
    "diversity": "0 is the order of the scores; towards 1, what is said already counts less.",
    "neighbors": "So many passages before and after each hit, of the same document.",
    "highlight": "Adds `highlights`: where the words of the query stand in `content`, in code points.",
    "include": "The parts of a hit. `content` and `metadata` are empty without; `vector` and `scores` come on request.",
    "fusion": "How `hybrid` makes one score of two; refused in the other modes.",
    "rerank": "`false` leaves the service's reranker out; `true` is refused where there is none.",
    "exact": "Compares every vector and looks every word up.",
    "explain": "Adds `explain`: how each collection was searched, and how long each part took.",
    "paging": "Adds `next_cursor`. The ranking is made once, of the best 1,000.",
    "cursor": "The `next_cursor` of the page before; the rest of the request is that of the first page.",
    "collections": "Their names. Hits of all of them are in one list; each names its `collection`.",
}

REQUESTS: dict[str, dict[str, Any]] = {
    "hybrid": {
        "summary": "By meaning and words, with a filter",
        "value": {
            "query": "how many days of leave do I have?",
            "filter": {"year": {"$gte": 2025}},
            "top_k": 3,
            "highlight": True,
            "include": ["content", "metadata", "scores"],
        },
    },
    "phrase": {
        "summary": "Words that must and must not be there",
        "value": {"query": '"paid leave" -unpaid', "mode": "text"},
    },
    "documents": {
        "summary": "Documents, with what stands around their best passage",
        "value": {"query": "parental leave", "group_by": "document", "neighbors": 1, "top_k": 5},
    },
    "like": {"summary": "More like this", "value": {"like": {"document_key": "leave.md"}, "diversity": 0.3}},
    "page": {"summary": "The first of several pages", "value": {"query": "leave", "top_k": 20, "paging": True}},
    "batch": {
        "summary": "Several questions at once",
        "value": {"queries": ["how many days off?", {"query": "second class"}], "top_k": 3},
    },
}

HIT = {
    "document_id": "01890000-0000-7000-8000-000000000001",
    "document_key": "leave.md",
    "chunk_id": "01890000-0000-7000-8000-000000000002",
    "score": 1.0,
    "content": "Everyone has thirty days of paid leave a year.",
    "title": "Leave",
    "source": None,
    "url": None,
    "metadata": {"year": 2026},
    "ordinal": 0,
    "start": 0,
    "end": 46,
    "collection": "handbook",
    "scores": {"vector": 0.655, "text": 1.591, "rerank": None},
    "highlights": [[20, 24], [33, 38]],
}
ANSWERS: dict[str, dict[str, Any]] = {
    "hits": {"summary": "Of one question", "value": {"hits": [HIT]}},
    "page": {"summary": "A page", "value": {"hits": [HIT], "next_cursor": "VGhlIHJlc3Q="}},
    "batch": {"summary": "Of several questions", "value": {"results": [{"hits": [HIT]}, {"hits": []}]}},
}


def complete_search(document: dict[str, Any]) -> None:
    """Fields in words, examples of requests and answers, and a name for the two shapes of an answer."""
    schemas = document["components"]["schemas"]
    for name in ("Question", "SearchRequest", "CrossSearchRequest"):
        for field, schema in schemas[name]["properties"].items():
            schemas[name]["properties"][field] = describe(schema, FIELDS[field])
    schemas["SearchAnswer"] = {
        "description": "`SearchResults` of one question, `BatchResults` of `queries`.",
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("SearchResults", "BatchResults")],
    }
    for path, more in (("/v1/collections/{collection}/search", {}), ("/v1/search", {"collections": ["handbook"]})):
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        body["examples"] = {name: one | {"value": more | one["value"]} for name, one in REQUESTS.items()}
        answer = operation["responses"]["200"]
        answer["description"] = "Hits, best first"
        answer["content"]["application/json"] = {
            "schema": {"$ref": "#/components/schemas/SearchAnswer"},
            "examples": ANSWERS,
        }
