"""Kinds of text, read by the standard library."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from xml.parsers import expat

from ragstore.errors import FileDamaged, FileUnsupported
from ragstore.parsing.decoding import Decoded
from ragstore.parsing.kinds import Kind
from ragstore.parsing.parsed import ParsedFile

TEXT_OUTPUTS = ("text/markdown", "text/plain")


def read_plain(decoded: Decoded, kind: Kind) -> ParsedFile:
    """As it is: text, Markdown, JSON, CSV. No row of a table can get lost, and what is quoted stands in the file."""
    text = decoded.text.removeprefix("\ufeff").replace("\r\n", "\n")
    return ParsedFile(text, kind.value, markdown=kind is Kind.MARKDOWN, warnings=decoded.warnings)


def to_table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    width = max(len(row) for row in rows)
    lines = [to_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]]) + "\n"


def to_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(one.split()).replace("|", "\\|") for one in cells) + " |"


def read_notebook(decoded: Decoded) -> ParsedFile:
    """Markdown as it stands, code and the texts it printed in fences."""
    book = json.loads(decoded.text)
    sheets = list_objects(book.get("worksheets"))  # before version 4
    cells = list_objects(book.get("cells")) or [cell for sheet in sheets for cell in list_objects(sheet.get("cells"))]
    language = find_language(book.get("metadata"))
    parts = [part for cell in cells for part in list_parts(cell, language)]
    return ParsedFile("\n\n".join(parts), Kind.IPYNB.value, warnings=decoded.warnings)


def find_language(metadata: object) -> str:
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    language = kernel.get("language") if isinstance(kernel, dict) else None
    return language if isinstance(language, str) and language.isalnum() else "python"


def list_parts(cell: dict[str, Any], language: str) -> list[str]:
    source = join_lines(cell.get("source", cell.get("input", "")))
    if not source.strip():
        return []
    match cell.get("cell_type"):
        case "code":
            outputs = cell.get("outputs")
            printed = (
                [read_output(one) for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
            )
            return [fence(source, language), *[fence(one) for one in printed if one.strip()]]
        case "heading":
            level = cell.get("level")
            return ["#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + source]
        case _:
            return [source]


def list_objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def read_output(output: dict[str, Any]) -> str:
    """What was printed or shown as text; pictures are not."""
    data = output.get("data")
    if isinstance(data, dict):
        return next((join_lines(data[kind]) for kind in TEXT_OUTPUTS if kind in data), "")
    return join_lines(output.get("text", ""))


def join_lines(value: object) -> str:
    if isinstance(value, list):
        return "".join(one for one in value if isinstance(one, str))
    return value if isinstance(value, str) else ""


def fence(text: str, language: str = "") -> str:
    mark = "```"
    while mark in text:
        mark += "`"
    return f"{mark}{language}\n{text.rstrip()}\n{mark}"


def read_xml(decoded: Decoded) -> ParsedFile:
    """The text between the tags. What declares entities is refused: they would have to be expanded, or fetched."""
    pieces: list[str] = []

    def refuse(*_: object) -> None:
        raise FileUnsupported("The XML declares entities, which are never expanded.")

    def part(*_: object) -> None:
        pieces.append("\n")

    parser = expat.ParserCreate(encoding="utf-8")
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = lambda *_: 1  # nothing is fetched
    parser.CharacterDataHandler = lambda text: pieces.append(text)
    parser.StartElementHandler = part
    parser.EndElementHandler = part
    try:
        parser.Parse(decoded.text.removeprefix("\ufeff").encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise FileDamaged(f"The XML is not well-formed: {error}.") from None
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    text = "\n".join(line for line in lines if line)
    return ParsedFile(text, Kind.XML.value, markdown=False, warnings=decoded.warnings)
