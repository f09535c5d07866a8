"""What kreuzberg reads. It is loaded when the first such file comes, or when a child is to be warm."""

import re
import secrets
from functools import lru_cache
from typing import Any

from ragstore.errors import FileDamaged, FileEncrypted, FileTooDemanding, FileUnsupported
from ragstore.parsing.kinds import Kind
from ragstore.parsing.pages import join_pages, to_pages
from ragstore.parsing.parsed import ParsedFile

NEEDED = "Files of this kind need another package: install ragstore[files]."
PROPERTIES = ("authors", "created_at", "modified_at", "language", "subject", "keywords")
LONGEST_TITLE = 300
OWN_CHARSET = re.compile(r"""(<meta[^>]{0,200}?charset\s*=\s*["']?\s*)[\w.:-]{2,40}""", re.IGNORECASE)
XML_HEAD = re.compile(r"^\s*<\?xml[^>]*\?>")
PICTURE = re.compile(r"\\?!\[([^\]\n]*)\]\([^)\n]*\)")


@lru_cache(maxsize=1)
def load() -> Any:
    """Raises FileUnsupported where the extra is not installed."""
    try:
        import kreuzberg  # noqa: PLC0415  # 98 MB that most processes never need
    except ImportError:
        raise FileUnsupported(NEEDED) from None
    return kreuzberg


def extract(data: bytes, kind: Kind) -> ParsedFile:
    """Raises one of FILE_ERRORS."""
    mark = f"page-{secrets.token_hex(8)}-"
    result = run(data, kind, mark)
    properties = dict(result.metadata or {})
    content, starts = place_pages(result, kind, properties, mark)
    return ParsedFile(
        content,
        kind.value,
        title=read_title(properties),
        page_starts=starts,
        metadata={name: properties.get(name) for name in PROPERTIES} | count_pages(starts),
    )


def run(data: bytes, kind: Kind, mark: str) -> Any:
    kreuzberg = load()
    config = kreuzberg.ExtractionConfig(
        output_format="markdown",
        use_cache=False,
        include_document_structure=kind is Kind.PDF,
        pages=kreuzberg.PageConfig(
            extract_pages=kind in (Kind.PDF, Kind.PPTX, Kind.XLSX),
            insert_page_markers=kind is Kind.PPTX,
            marker_format=f"\n\n{mark}{{page_num}}\n\n",
        ),
        # The default takes headings that repeat ("Chapter 7: …") for running headers, and drops them.
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False
        ),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        return kreuzberg.extract_bytes_sync(data, kind.value, config=config)
    except MemoryError:
        raise FileTooDemanding("Reading the file takes more memory than is allowed.") from None
    except kreuzberg.KreuzbergError as error:
        raise explain(str(error)) from None


def explain(message: str) -> Exception:
    lowered = message.lower()
    if "password" in lowered or "encrypted" in lowered:
        return FileEncrypted("The file needs a password.")
    if "limit" in lowered or "too large" in lowered or "bomb" in lowered:
        return FileTooDemanding("Reading the file takes more than is allowed.")
    if "unsupported" in lowered:
        return FileUnsupported("Files of this kind are not read.")
    return FileDamaged(f"The file is damaged or incomplete: {' '.join(message.split())[:200]}")


def place_pages(result: Any, kind: Kind, properties: dict[str, Any], mark: str) -> tuple[str, list[int]]:
    if kind is Kind.PDF:
        plain = {int(one["page_number"]): str(one["content"]) for one in result.pages or []}
        return join_pages(to_pages((result.document or {}).get("nodes", []), plain))
    if kind is Kind.PPTX:
        return split_slides(result.content, mark)
    content = result.content.strip()
    if kind is Kind.XLSX:
        return content, find_sheets(content, [str(one) for one in properties.get("sheet_names") or []])
    return content, []


def split_slides(content: str, mark: str) -> tuple[str, list[int]]:
    """The marks stand before each slide; what stands before the first belongs to it."""
    pieces = re.split(rf"^{re.escape(mark)}(\d+)$", content, flags=re.MULTILINE)
    slides: dict[int, str] = {}
    for number, text in zip(map(int, pieces[1::2]), pieces[2::2], strict=True):
        slides[number] = PICTURE.sub(r"\1", text).strip()
    if not slides:
        return PICTURE.sub(r"\1", content).strip(), []
    slides[1] = "\n\n".join(part for part in (pieces[0].strip(), slides.get(1, "")) if part)
    return join_pages([slides.get(number, "") for number in range(1, max(slides) + 1)])


def find_sheets(content: str, names: list[str]) -> list[int]:
    """Each sheet begins with its name as a heading; rows begin with a bar, so nothing else looks like it."""
    starts: list[int] = []
    after = 0
    for name in names:
        heading = re.compile(rf"^## {re.escape(' '.join(name.split()))}[ \t]*$", re.MULTILINE)
        found = heading.search(content, after)
        starts.append(found.start() if found else after)
        after = found.end() if found else after
    return starts


def read_title(properties: dict[str, Any]) -> str | None:
    title = properties.get("title")
    return " ".join(title.split())[:LONGEST_TITLE] or None if isinstance(title, str) else None


def count_pages(starts: list[int]) -> dict[str, int]:
    return {"pages": len(starts)} if starts else {}


def extract_page(html: str) -> ParsedFile:
    """HTML, decoded: what it says of its own encoding no longer counts."""
    told = OWN_CHARSET.sub(r"\1utf-8", XML_HEAD.sub("", html))
    return extract(told.encode("utf-8", "replace"), Kind.HTML)
