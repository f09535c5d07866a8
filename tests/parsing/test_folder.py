"""Every file of a folder against what its `manifest.json` says of it: `files` with `file`, `expect`, `must_contain`."""

import asyncio
import json
import os
import re
import unicodedata
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragstore.errors import FILE_ERRORS, FileEmpty, FileWithoutText, RagstoreError
from ragstore.parsing.parsed import ParsedFile
from ragstore.parsing.supervisor import Parser, ParserOptions

FOLDER = os.environ.get("RAGSTORE_TEST_FILES_DIR")
MARKUP = re.compile(r"</?u>|[*_~\\]")


def list_files() -> list[dict[str, Any]]:
    if FOLDER is None:
        return []
    files: list[dict[str, Any]] = json.loads(Path(FOLDER, "manifest.json").read_text())["files"]
    return files


@pytest.fixture(scope="module")
async def parser() -> AsyncIterator[Parser]:
    parser = Parser(ParserOptions(timeout=30))
    yield parser
    await parser.close()


def normalize(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "").replace("\u2019", "'")
    return " ".join(text.split()).casefold()


@pytest.mark.skipif(FOLDER is None, reason="RAGSTORE_TEST_FILES_DIR names no folder with manifest.json")
@pytest.mark.parametrize("told", list_files(), ids=lambda one: one["file"])
async def test_the_file_is_what_it_is_said_to_be(parser: Parser, told: dict[str, Any]) -> None:
    path = Path(FOLDER or "", told["file"])
    content = await asyncio.to_thread(path.read_bytes)
    outcome: ParsedFile | RagstoreError
    try:
        outcome = await parser.parse(uuid.UUID(int=1), path.name, content)
    except FILE_ERRORS as error:
        outcome = error
    if isinstance(outcome, RagstoreError):
        assert told["expect"] != "text", outcome.detail
        assert told["expect"] != "no_text" or isinstance(outcome, FileEmpty | FileWithoutText)
        return
    assert told["expect"] in ("text", "either")
    found = {normalize(outcome.content), normalize(MARKUP.sub("", outcome.content))}
    missing = [one for one in told.get("must_contain", []) if not any(normalize(one) in text for text in found)]
    assert missing == []
