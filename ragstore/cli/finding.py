"""Which files a person meant by the paths given."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

TEXT_SUFFIXES = (".md", ".markdown", ".txt", ".rst", ".text")
RECORD_SUFFIXES = (".jsonl", ".ndjson")
CORPUS = "corpus.jsonl"


@dataclass(frozen=True)
class Found:
    """A file, and its key: the path below the folder it was found in."""

    path: Path
    key: str
    size: int

    @property
    def has_records(self) -> bool:
        return self.path.suffix.lower() in RECORD_SUFFIXES


@dataclass
class Search:
    """The files found, and what was left out and why."""

    files: list[Found] = field(default_factory=list)
    hidden: int = 0
    other_types: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)


def find_files(paths: Iterable[Path]) -> Search:
    """Files named are taken whatever they are called; of folders, text, Markdown and `corpus.jsonl`."""
    search = Search()
    taken: dict[str, Path] = {}
    for path in paths:
        for file, key in walk(path, search) if path.is_dir() else [(path, path.name)]:
            add(search, taken, file, key)
    return search


def add(search: Search, taken: dict[str, Path], file: Path, key: str) -> None:
    try:
        size = file.stat().st_size
    except OSError as error:
        search.failures.append((file.as_posix(), error.strerror or str(error)))
        return
    found = Found(file, key, size)
    if not file.is_file():
        search.failures.append((file.as_posix(), "is not a file"))
        return
    other = taken.get(key)
    if other is not None and not found.has_records:  # the keys of records are their own
        if not file.samefile(other):
            search.failures.append((file.as_posix(), f"would have the key of {other.as_posix()}; load them apart"))
        return
    taken[key] = file
    search.files.append(found)


def walk(folder: Path, search: Search) -> Iterator[tuple[Path, str]]:
    """In order of their names, so that two runs are alike. Links to folders are not followed."""
    for here, folders, names in os.walk(folder):
        search.hidden += sum(name.startswith(".") for name in (*folders, *names))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            if is_wanted(name):
                file = Path(here, name)
                yield file, file.relative_to(folder).as_posix()
            else:
                search.other_types += 1


def is_wanted(name: str) -> bool:
    return name == CORPUS or name.lower().endswith(TEXT_SUFFIXES)
