import base64
from collections import Counter

import numpy as np
import pytest

from ragstore.cli.movers.fitting import Sample, Sampler, fit_vectors, list_passages, watch
from ragstore.cli.movers.source import Description, Document, find_origin
from tests.cli.movers.foreign import make_vector


def make_document(key: str, *vectors: np.ndarray) -> Document:
    chunks = [
        {"content": f"{key}{n}", "metadata": {"node_id": f"{key}{n}"}, "vector": one} for n, one in enumerate(vectors)
    ]
    return {"key": key, "metadata": {}, "chunks": chunks}


def test_vectors_that_fit_become_base64() -> None:
    vector = make_vector("x")
    remarks = Counter[str]()
    one, two = fit_vectors(
        [{"key": "a", "content": "x", "vector": vector}, make_document("b", vector, vector * 2)], 8, remarks
    )
    assert np.frombuffer(base64.b64decode(one["vector"]), "<f4").tolist() == vector.tolist()
    assert np.frombuffer(base64.b64decode(two["chunks"][1]["vector"]), "<f4").tolist() == (vector * 2).tolist()
    assert not remarks


@pytest.mark.parametrize(
    ("vector", "why"),
    [
        (make_vector("x", 4), "of 4 numbers among those of 8"),
        (np.zeros(8, np.float32), "of zeros"),
        (np.full(8, np.nan, np.float32), "with a number that is infinite or none"),
        (np.full(8, np.inf, np.float32), "with a number that is infinite or none"),
    ],
    ids=["width", "zeros", "nan", "infinite"],
)
def test_those_that_do_not_are_left_out_and_counted(vector: np.ndarray, why: str) -> None:
    remarks = Counter[str]()
    (one,) = fit_vectors([make_document("a", make_vector("x"), vector)], 8, remarks)
    assert ["vector" in chunk for chunk in one["chunks"]] == [True, False]
    assert remarks == {f"vectors {why}: made anew": 1}


def test_none_is_sent_when_all_are_made_anew() -> None:
    remarks = Counter[str]()
    document = make_document("a", make_vector("x"))
    (one,) = fit_vectors([document], None, remarks)
    assert one["chunks"] == [{"content": "a0", "metadata": {"node_id": "a0"}}]
    assert not remarks
    assert "vector" in document["chunks"][0]  # the samples still have it


def test_samples_are_drawn_from_everything_alike() -> None:
    drawn = Counter[str]()
    for seed in range(300):
        sampler = Sampler(5)
        sampler.random.seed(seed)
        for number in range(50):
            sampler.offer(Sample(str(number), "x", None))
        assert len(sampler.samples) == 5
        drawn.update(sample.identity for sample in sampler.samples)
    assert len(drawn) == 50
    assert max(drawn.values()) < 60  # 30 each would be even


def test_passages_are_named_as_the_store_does() -> None:
    document = make_document("a", make_vector("x"), make_vector("y"))
    assert [one.identity for one in list_passages(document, "node_id")] == ["a0", "a1"]
    assert [one.identity for one in list_passages({"key": "k", "content": "x"}, None)] == ["k"]
    sampler = Sampler(9)
    assert list(watch([document, {"key": "k", "content": " "}], sampler, "node_id")) == [
        document,
        {"key": "k", "content": " "},
    ]
    assert [one.identity for one in sampler.samples] == ["a0", "a1"]


def test_wide_vectors_do_not_fit() -> None:
    assert Description("chroma", "x", 1, 1536).vectors_fit
    assert not Description("chroma", "x", 1, 1537).vectors_fit
    assert not Description("chroma", "x", 1, None).vectors_fit


def test_the_origin_is_found_under_the_names_loaders_use() -> None:
    assert find_origin({"file_path": "/d/a", "file_name": "a", "title": ""}) == {"source": "/d/a"}
    assert find_origin({"source": "s", "file_path": "/d/a", "url": 5, "title": "T"}) == {"title": "T", "source": "s"}
