"""Which files a person meant by the paths given."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

TEXT_SUFFIXES = (".md", ".markdown", ".txt", ".rst", ".text")
RECORD_SUFFIXES = (".jsonl", ".ndjson")
CORPUS = "corpus.jsonl"
VECTOR_SUFFIX, TABLE_SUFFIX = ".npy", ".parquet"

# Read by the service: their text is wrapped in something else.
FILE_SUFFIXES = (
    ".pdf", ".docx", ".pptx", ".xlsx", ".odt", ".epub", ".rtf", ".html", ".htm", ".eml", ".ipynb", ".csv",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A file, and its key: the path below the folder it was found in."""

    path: Path
    key: str
    size: int

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def has_records(self) -> bool:
        return self.suffix in RECORD_SUFFIXES

    @property
    def has_keys(self) -> bool:
        """Whether its documents' keys are their own."""
        return self.has_records or self.suffix in (VECTOR_SUFFIX, TABLE_SUFFIX)


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


def find_files(paths: Iterable[Path | str]) -> Search:
    """Files named, and those that a pattern matches, are taken whatever they are called; of folders, text, Markdown,
    `corpus.jsonl` and what the service can read.
    """
    search = Search()
    taken: dict[str, Path] = {}
    for path in map(Path, paths):
        for file, key in expand(path, search):
            add(search, taken, file, key)
    return search


def expand(path: Path, search: Search) -> Iterator[tuple[Path, str]]:
    if path.is_dir():
        return walk(path, search)
    if has_magic(str(path)) and not path.exists():
        return match(path, search)
    return iter([(path, path.name)])


def match(pattern: Path, search: Search) -> Iterator[tuple[Path, str]]:
    """Keys are the paths below the folder that the pattern begins with, as if that folder had been given."""
    folder = Path(*takewhile(lambda part: not has_magic(part), pattern.parts))
    matched = sorted(Path(name) for name in glob(str(pattern), recursive=True) if not Path(name).is_dir())
    if not matched:
        search.failures.append((pattern.as_posix(), "matches no file"))
    for file in matched:
        yield file, file.relative_to(folder).as_posix()


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
    if other is not None and not found.has_keys:
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
    return name == CORPUS or name.lower().endswith(TEXT_SUFFIXES + FILE_SUFFIXES)
