"""Ready vectors: `.npy` beside texts, and Parquet."""

import base64
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragstore.cli.finding import find_files
from ragstore.cli.items import Item, Tables
from ragstore.cli.reading import read_files
from ragstore.errors import ConfigurationError

ROWS: list[dict[str, Any]] = [
    {"id": 1, "text": "One", "vec": [0.5, 1.0], "year": 2020, "source": "s", "none": None},
    {"id": "b", "text": "Two", "vec": [0.5, float("nan")], "year": 2021, "source": None, "none": None},
    {"id": "c", "text": None, "vec": [0.5, 1.0], "year": 2021, "source": None, "none": None},
    {"id": None, "text": "x", "vec": [0.5, 1.0], "year": 2021, "source": None, "none": None},
    {"id": "e", "text": "x", "vec": None, "year": 2021, "source": None, "none": None},
]


def read(path: Path, tables: Tables) -> list[Item]:
    return list(read_files(find_files([path]).files, tables))


def write_texts(path: Path, count: int) -> Path:
    path.write_text(
        "".join(f'{{"_id": "{number}", "text": "text {number}", "n": {number}}}\n' for number in range(count))
    )
    return path


def read_array(path: Path, rows: Any, texts: int) -> list[Item]:
    np.save(path / "vectors.npy", rows)
    return read(path / "vectors.npy", Tables(write_texts(path / "texts.jsonl", texts)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_row_and_line_belong_together(tmp_path: Path, kind: type) -> None:
    items = read_array(tmp_path, np.array([[1, 0.5], [0.25, 2]], dtype=kind), 2)
    documents = [item.document for item in items]
    assert isinstance(documents[1], dict)
    assert (documents[1]["key"], documents[1]["content"], documents[1]["metadata"]) == ("1", "text 1", {"n": 1})
    assert np.frombuffer(base64.b64decode(documents[1]["vector"]), "<f4").tolist() == [0.25, 2]


def test_a_bad_row_fails_alone(tmp_path: Path) -> None:
    rows = np.array([[1, 1], [1, np.nan], [np.inf, 1], [0, 0], [1e300, 1], [2, 2]])
    items = read_array(tmp_path, rows, 6)
    assert [item.fault is None for item in items] == [True, False, False, False, False, True]
    assert items[1].name.endswith("vectors.npy: row 2")
    assert items[1].fault == "has a vector with a number that is infinite or none"
    assert items[3].fault == "has a vector of zeros"


def test_a_blank_line_does_not_shift_the_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((3, 2)))
    (tmp_path / "t.jsonl").write_text('{"id": "a", "text": "x"}\n\n{"id": "c", "text": "z"}')
    items = read(tmp_path / "vectors.npy", Tables(tmp_path / "t.jsonl"))
    assert [item.fault is None for item in items] == [True, False, True]


@pytest.mark.parametrize(
    ("rows", "texts", "said"),
    [
        (np.ones((3, 2)), 2, r"3 rows and .* 2 lines"),
        (np.ones(3), 3, r"shape \(3,\)"),
        (np.ones((3, 2), dtype=int), 3, "of int64; rows of 1 to 1,536 floating-point"),
        (np.ones((2, 1537)), 2, r"shape \(2, 1537\)"),
        (np.array([[{}]]), 1, "no array of numpy's"),
    ],
    ids=["lines", "one dimension", "integers", "wide", "objects"],
)
def test_what_does_not_fit_is_refused_before_the_first_row(tmp_path: Path, rows: Any, texts: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_array(tmp_path, rows, texts)


def test_vectors_alone_are_asked_for_their_texts(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.ones((1, 2)))
    with pytest.raises(ConfigurationError, match="--texts"):
        read(tmp_path / "vectors.npy", Tables())


def fake_parquet(path: Path) -> Any:
    """As much of pyarrow.parquet.ParquetFile as is used."""
    if path.read_bytes() != b"PAR1":
        raise ValueError("Parquet magic bytes not found")
    schema = SimpleNamespace(names=list(ROWS[0]))
    rows = SimpleNamespace(to_pylist=lambda: [dict(row) for row in ROWS])
    metadata = SimpleNamespace(num_rows=len(ROWS))
    return SimpleNamespace(schema_arrow=schema, metadata=metadata, iter_batches=lambda batch_size: iter([rows]))


@pytest.fixture(params=["fake", "pyarrow"])
def parquet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data.parquet"
    if request.param == "pyarrow":
        arrow: Any = pytest.importorskip("pyarrow")
        rows = [row | {"id": None if row["id"] is None else str(row["id"])} for row in ROWS]
        writer: Any = pytest.importorskip("pyarrow.parquet")
        writer.write_table(arrow.Table.from_pylist(rows), path)
        return path
    module = ModuleType("pyarrow.parquet")
    module.__dict__["ParquetFile"] = fake_parquet
    monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", module)
    path.write_bytes(b"PAR1")
    return path


def test_rows_of_parquet_are_documents(parquet: Path) -> None:
    items = read(parquet, Tables(vector_column="vec"))
    one = items[0].document
    assert isinstance(one, dict)
    assert np.frombuffer(base64.b64decode(one.pop("vector")), "<f4").tolist() == [0.5, 1]
    assert one == {"key": "1", "content": "One", "source": "s", "metadata": {"year": 2020}}
    assert [item.fault for item in items[1:]] == [
        "has a vector with a number that is infinite or none",
        "text is no text",
        "id is no key",
        "has a vector of the shape (); 1 to 1,536 numbers are taken",
    ]
    assert items[1].name.endswith("data.parquet: row 2")


def test_without_a_vector_column_only_texts_are_read(parquet: Path) -> None:
    items = read(parquet, Tables())
    assert isinstance(items[0].document, dict)
    assert items[0].document["metadata"] == {"vec": [0.5, 1.0], "year": 2020}
    assert items[0].fault is None


def test_missing_columns_and_other_files_are_told(parquet: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'body': name it with --text-column\. It has: id"):
        read(parquet, Tables(text_column="body"))
    parquet.write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="is no Parquet file"):
        read(parquet, Tables())


def test_without_the_package_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "data.parquet").touch()
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        read(tmp_path / "data.parquet", Tables())
