import codecs
from pathlib import Path

import pytest

from ragstore.cli.finding import find_files
from ragstore.cli.items import Item
from ragstore.cli.reading import read_files
from ragstore.ingestion.schemas import DocumentUpsert


def read(*paths: Path) -> list[Item]:
    return list(read_files(find_files(paths).files))


def test_a_folder_is_walked_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "sub/c.rst", "sub/.hidden.md", ".git/config.txt", "picture.png", "queries.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    search = find_files([tmp_path])
    assert [one.key for one in search.files] == ["a.txt", "b.md", "sub/c.rst"]
    assert (search.hidden, search.other_types) == (2, 2)


def test_files_of_two_folders_may_not_share_a_key(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(name)
    search = find_files([tmp_path / "one", tmp_path / "two", tmp_path / "one" / "README.md"])
    assert len(search.files) == 1
    assert len(search.failures) == 1
    assert "load them apart" in search.failures[0][1]


def test_a_missing_file_is_a_failure(tmp_path: Path) -> None:
    assert find_files([tmp_path / "nothing.md"]).failures[0][1] == "No such file or directory"


@pytest.mark.parametrize(
    "raw",
    ["Grüße".encode(), codecs.BOM_UTF8 + "Grüße".encode(), "\ufeffGrüße".encode("utf-16-le"), "Grüße".encode("utf-16")],
    ids=["utf-8", "utf-8 with mark", "utf-16-le", "utf-16"],
)
def test_text_is_decoded(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    (item,) = read(tmp_path / "a.txt")
    assert isinstance(item.document, DocumentUpsert)
    assert item.document.content == "Grüße"
    assert item.document.source == (tmp_path / "a.txt").as_posix()


@pytest.mark.parametrize("raw", [b"ok \xff", codecs.BOM_UTF16_LE + b"a"])
def test_text_of_another_encoding_is_left_to_the_service(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    (item,) = read(tmp_path / "a.txt")
    assert item.upload is not None
    assert (item.upload.read(), item.upload.name) == (raw, "a.txt")


def test_an_empty_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b" \n")
    (item,) = read(tmp_path / "a.txt")
    assert item.fault == "is empty"


def test_binary_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x7fELF\0\0")
    assert [one.binary for one in read(tmp_path / "a.txt")] == [True]


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("a.md", "intro\n\n## The *title* ##\ntext\n# Later\n", "The *title*"),
        ("a.md", "```sh\n# a comment\n```\n# Title\n", "Title"),
        ("a.md", "Title\n=====\n", "Title"),
        ("a.md", "#hashtag\n", None),
        ("a.rst", "Title\n*****\n", "Title"),
        ("a.txt", "# not a title\n", None),
    ],
)
def test_the_first_heading_is_the_title(tmp_path: Path, name: str, content: str, title: str | None) -> None:
    (tmp_path / name).write_text(content)
    (item,) = read(tmp_path / name)
    assert isinstance(item.document, DocumentUpsert)
    assert item.document.title == title


def test_records_of_beir_and_of_others(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "1", "title": "T", "text": "x", "metadata": {"a": 1}}\n'
        "\n"
        '{"id": 2, "content": "y", "title": "", "url": "https://y", "year": 2020, "source": "s"}\n'
    )
    first, second = read(tmp_path / "corpus.jsonl")
    assert isinstance(first.document, DocumentUpsert)
    assert isinstance(second.document, DocumentUpsert)
    assert (first.document.key, first.document.title, first.document.metadata) == ("1", "T", {"a": 1})
    assert (second.document.key, second.document.title, second.document.metadata) == ("2", None, {"year": 2020})
    assert (first.document.source, second.document.source, second.document.url) == ("corpus.jsonl", "s", "https://y")
    assert first.size == 62


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"text": "x"}', "has no _id, id or key"),
        ('{"_id": true, "text": "x"}', "has no _id, id or key"),
        ('{"_id": "1", "text": 5}', "has no text or content"),
    ],
)
def test_a_bad_line_fails_alone(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{line}\n{{"_id": "good", "text": "x"}}\n')
    bad, good = read(tmp_path / "a.jsonl")
    assert bad.fault is not None
    assert bad.fault.startswith(fault)
    assert bad.name.endswith("a.jsonl:1")
    assert good.document is not None
