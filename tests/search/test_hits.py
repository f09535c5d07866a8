"""What a hit shows: neighbors, parts, highlights; and what is found like something else."""

from typing import Any

import httpx
import numpy as np

from ragstore.columns import new_id
from ragstore.database import Database
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.search.stored import Given, ask, draw_vectors, keys_of, make_singles, store

URL = "/v1/collections/docs/search"


async def test_neighbors_stop_at_the_edges_of_the_document(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    for key in ("a", "b"):
        await store(database, Given(key, [f"{key} passage {n}" for n in range(6)], draw_vectors(ord(key), 6)))
    vectors = draw_vectors(ord("a"), 6)
    for ordinal, around, wanted in ((0, 2, [1, 2]), (5, 2, [3, 4]), (3, 1, [2, 4]), (2, 20, [0, 1, 3, 4, 5])):
        hits = await search(client, vector=vectors[ordinal].tolist(), neighbors=around, top_k=2)
        assert (hits[0]["document_key"], hits[0]["ordinal"]) == ("a", ordinal)
        assert [one["ordinal"] for one in hits[0]["neighbors"]] == wanted
        assert [one["content"] for one in hits[0]["neighbors"]] == [f"a passage {n}" for n in wanted]
        assert set(hits[0]["neighbors"][0]) == {"chunk_id", "ordinal", "content", "start", "end"}
    await store(database, Given("alone", ["granite"], draw_vectors(1, 1)))
    (alone,) = await search(client, query="granite", mode="text", neighbors=1)
    assert alone["neighbors"] == []


async def test_only_the_parts_that_are_wanted_are_there(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    vector = draw_vectors(1, 1)
    await store(database, Given("a", ["granite"], vector, {"year": 1}))
    (plain,) = await search(client, query="granite")
    assert (plain["content"], plain["metadata"]) == ("granite", {"year": 1})
    assert not {"scores", "vector", "neighbors", "highlights"} & set(plain)
    # Who keeps the texts needs the places alone.
    (bare,) = await search(client, query="granite", include=[], highlight=True)
    assert (bare["content"], bare["metadata"], bare["highlights"]) == ("", {}, [[0, 7]])
    for mode in ("hybrid", "text", "vector"):
        (full,) = await search(client, query="granite", mode=mode, include=["vector", "scores"])
        np.testing.assert_allclose(full["vector"], vector[0], atol=1e-6)
        assert set(full["scores"]) == {"vector", "text", "rerank"}


async def test_highlights_are_code_points_of_the_content(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "😀😀 Cats and 𝒸𝒶𝓉𝓈 chase e\u0301lan, cat-like.", "title": "Cats"})
    (hit,) = await search(client, query="cat élan", mode="text", highlight=True)
    assert [hit["content"][start:end] for start, end in hit["highlights"]] == ["Cats", "𝒸𝒶𝓉𝓈", "e\u0301lan", "cat"]
    (hit,) = await search(client, query='"cats and" chase', highlight=True)
    assert [hit["content"][start:end] for start, end in hit["highlights"]] == ["Cats and", "𝒸𝒶𝓉𝓈", "chase", "cat"]
    (hit,) = await search(client, query="nothing", highlight=True, mode="vector")
    assert hit["highlights"] == []


async def test_a_phrase_must_be_there_and_an_exclusion_must_not(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    texts = {
        "phrase": "The red fox runs",
        "apart": "A fox that is red",
        "reversed": "fox red",
        "wolf": "The red fox and a wolf",
        "none": "Something else",
    }
    await upsert(client, *[{"key": key, "content": text} for key, text in texts.items()])
    for mode in ("text", "hybrid"):
        for query, wanted in (
            ('"red fox"', {"phrase", "wolf"}),
            ('"red fox" -wolf', {"phrase"}),
            ('"Red Foxes" something', {"phrase", "wolf"}),
            ('-"red fox" fox', {"apart", "reversed"} | ({"none"} if mode == "hybrid" else set())),
            ('"red fox" "a wolf"', {"wolf"}),
            ('"blue fox"', set()),
            ('"unheard unseen"', set()),
            ('fox "red', {"phrase", "apart", "reversed", "wolf"} | ({"none"} if mode == "hybrid" else set())),
        ):
            assert set(keys_of(await search(client, query=query, mode=mode))) == wanted, (mode, query)


async def test_a_phrase_of_words_without_weight_is_found_beside_others(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, {"key": "band", "content": "I like The Who"}, {"key": "other", "content": "Who is the one?"})
    for mode in ("text", "hybrid"):
        for query in ('"the who"', '"the who" like', '"the who" concert', '"the who" one'):
            assert keys_of(await search(client, query=query, mode=mode)) == ["band"], (mode, query)


SPOKEN = [
    ("german", ["Die Häuser am Fluss", "Ein Baum"], "haus"),
    ("french", ["Les chevaux mangent", "Un arbre"], "cheval manger"),
    ("russian", ["Большие города мира", "Дерево"], "город"),
    ("simple", ["北京大学的图书馆", "大北京学", "上海"], '"北京大学"'),
    ("simple", ["北京大学的图书馆", "上海交通大学"], "图书馆"),
    ("simple", ["ภาษาไทยเป็นภาษาราชการ", "สวัสดีครับ"], "ราชการ"),
    ("simple", ["東京タワーへ行きました", "大阪城"], "タワー"),
    ("english", ["東京 tower", "大阪 castle"], "東京"),
    ("english", ["한국어를 배웁니다", "영어"], "한국어"),
    ("arabic", ["الكتاب على الطاولة", "شجرة"], "كتاب"),
]


async def test_words_of_many_languages_are_found_and_shown(client: httpx.AsyncClient) -> None:
    for number, (language, texts, query) in enumerate(SPOKEN):
        name = f"docs{number}"
        await make_collection(client, name, language=language)
        await upsert(client, *[{"key": one, "content": one} for one in texts], collection=name)
        hits = await search(client, name, query=query, mode="text", highlight=True)
        assert keys_of(hits) == texts[:1]
        assert hits[0]["highlights"]


async def test_what_is_like_something_is_not_the_thing_itself(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    center = draw_vectors(0, 1)
    twins = draw_vectors(1, 6, around=center[0])
    await store(
        database,
        Given("a", ["granite quarry", "basalt mine"], twins[:2]),
        Given("b", ["granite quarry", "basalt mine"], twins[2:4]),
        Given("c", ["marble cliff"], twins[4:5]),
        *make_singles(draw_vectors(2, 300), "water", prefix="far"),
    )
    (example,) = await search(client, vector=twins[0].tolist(), top_k=1)
    by_chunk = {"chunk_id": example["chunk_id"]}
    by_document = {"document_id": example["document_id"]}
    for mode in ("vector", "text", "hybrid"):
        hits = await search(client, like=by_chunk, mode=mode, top_k=4)
        assert example["chunk_id"] not in {hit["chunk_id"] for hit in hits}
        assert hits[0]["content"] == "granite quarry" or mode == "vector"
        for like in (by_document, {"document_key": "a"}):
            hits = await search(client, like=like, mode=mode, top_k=300)
            assert "a" not in keys_of(hits)
            assert len(hits) == {"text": 2}.get(mode, 300)
            assert set(keys_of(hits[:2])) <= {"b", "c"}
    assert len(await search(client, like=by_chunk, top_k=1000)) == 304
    missing: list[tuple[str, Any]] = [("chunk_id", new_id()), ("document_id", new_id()), ("document_key", "z")]
    for name, value in missing:
        response = await client.post(URL, json={"like": {name: str(value)}})
        assert paths_of(problem_of(response, 404, "not-found")) == [f"like.{name}"]


async def test_diversity_shows_the_same_thing_once_first(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    copies = np.repeat(draw_vectors(0, 1), 20, axis=0)
    await store(
        database,
        *make_singles(copies, prefix="copy"),
        *make_singles(draw_vectors(1, 5), prefix="far"),
    )
    request = {"vector": copies[0].tolist(), "top_k": 6}
    assert all(key.startswith("copy") for key in keys_of(await search(client, **request)))
    diverse = keys_of(await search(client, diversity=0.7, **request))
    assert diverse[0].startswith("copy")
    assert sorted(key[:4] for key in diverse) == ["copy"] + ["far0"] * 5


async def test_an_explanation_says_how_it_was_searched(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(1, 50), even=True), *make_singles(draw_vectors(2, 70), prefix="x"))
    vector = draw_vectors(3, 1)[0].tolist()
    for request, plan, matching in (
        ({"query": "granite"}, "exact_codes", None),
        ({"query": "granite", "mode": "text"}, "none", None),
        ({"query": '"granite"'}, "phrase", None),
        ({"vector": vector, "exact": True}, "exact_vectors", None),
        ({"vector": vector, "filter": {"even": True}}, "filtered_vectors", 50),
        ({"vector": vector, "filter": {"even": 7}, "mode": "vector"}, None, 0),
    ):
        explained = (await ask(client, explain=True, **request))["explain"]
        (one,) = explained["plans"]
        assert one["vector_plan"] == plan or plan is None
        assert (one["collection"], one["chunks"], one["matching"]) == ("docs", 120, matching)
        assert one["complete"] is True
        assert explained["timings"]["total"] >= explained["timings"]["candidates"] > 0
        assert explained["timings"]["connection"] > 0
