"""Files to documents, one at a time: a file of any size is never in memory whole, unless it is one document."""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import PurePath
from typing import BinaryIO

from ragstore.cli.finding import FILE_SUFFIXES, TABLE_SUFFIX, TEXT_SUFFIXES, VECTOR_SUFFIX, Found
from ragstore.cli.items import NO_TABLES, Item, Tables, Unreadable, Upload
from ragstore.cli.records import LONGEST_FIRST_LINE, is_record_line, read_lines, read_records
from ragstore.errors import ConfigurationError
from ragstore.ingestion.schemas import DocumentUpsert

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
UNDERLINED = re.compile(r"^(?P<title>\S.*)\n(?:={3,}|-{3,}|\*{3,})[ \t]*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LONGEST_TITLE = 500
STDIN = "stdin"

# JSON that is no records is sent too, if it is named: in folders there is much of it that nobody would search.
SENT_SUFFIXES = (*FILE_SUFFIXES, ".json")

# PDF, the zip that Office and EPUB files are, older Office, RTF: whatever the file is called
FILE_BEGINNINGS = (b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"{\\rtf")


def read_files(files: Iterable[Found], tables: Tables = NO_TABLES) -> Iterator[Item]:
    for file in files:
        try:
            if file.suffix in (VECTOR_SUFFIX, TABLE_SUFFIX):
                yield from read_ready(file, tables)
            elif file.has_records or has_record_lines(file):
                yield from read_records(file.path)
            else:
                yield read_file(file)
        except OSError as error:
            yield Item(file.path.as_posix(), file.size, fault=error.strerror or str(error))


def read_ready(file: Found, tables: Tables) -> Iterator[Item]:
    from ragstore.cli.ready import read_table, read_vectors  # noqa: PLC0415 - numpy only where there are vectors

    return read_vectors(file, tables) if file.suffix == VECTOR_SUFFIX else read_table(file, tables)


def has_record_lines(file: Found) -> bool:
    """Of any file that is not named as something else; the first line tells."""
    if file.suffix in FILE_SUFFIXES or (file.suffix in TEXT_SUFFIXES and file.suffix != ".txt"):
        return False
    with file.path.open("rb") as opened:
        return is_record_line(opened.readline(LONGEST_FIRST_LINE))


def read_file(file: Found) -> Item:
    name = file.path.as_posix()
    if file.suffix in SENT_SUFFIXES:
        return Item(name, file.size, upload=Upload(file.path, file.key, file.path.name, name))
    raw = file.path.read_bytes()
    if raw.startswith(FILE_BEGINNINGS):
        return Item(name, file.size, upload=Upload(raw, file.key, file.path.name, name))
    return read_text(raw, file.key, name, file.suffix)


def read_stdin(stream: BinaryIO, key: str | None) -> Iterator[Item]:
    """One document, or records, whose keys are their own. Raises ConfigurationError when a key is missing."""
    first = stream.readline(LONGEST_FIRST_LINE)
    if key is None:
        if not is_record_line(first):
            raise ConfigurationError("A document of standard input needs a key: --key NAME.")
        yield from read_lines(chain([first], stream), STDIN, STDIN)
        return
    raw = first + stream.read()
    if raw.startswith(FILE_BEGINNINGS):
        yield Item(STDIN, len(raw), upload=Upload(raw, key, PurePath(key).name or STDIN, STDIN))
    else:
        yield read_text(raw, key, STDIN, PurePath(key).suffix.lower())


def read_text(raw: bytes, key: str, name: str, suffix: str, url: str | None = None) -> Item:
    size = len(raw)
    if b"\0" in raw[:8192] and not raw.startswith(BOMS[1][0]) and not raw.startswith(BOMS[2][0]):
        return Item(name, size, binary=True)
    try:
        content = decode(raw)
    except Unreadable:  # the service tells encodings apart
        return Item(name, size, upload=Upload(raw, key, PurePath(name).name, name, url))
    if not content.strip():
        return Item(name, size, fault="is empty")
    return Item(name, size, DocumentUpsert(content, key, find_title(content, suffix), source=name, url=url))


def decode(raw: bytes) -> str:
    encoding = next((name for mark, name in BOMS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        kind = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise Unreadable(f"is not {kind}: byte {error.start} is 0x{raw[error.start]:02x}") from None


def find_title(content: str, suffix: str) -> str | None:
    """The first heading, of Markdown or of reStructuredText; plain text has none."""
    if suffix in (".md", ".markdown"):
        content = FENCE.sub("", content)  # comments of code are no headings
        found = HEADING.search(content) or UNDERLINED.search(content)
    else:
        found = UNDERLINED.search(content) if suffix == ".rst" else None
    return found.group(1).strip()[:LONGEST_TITLE] if found else None
