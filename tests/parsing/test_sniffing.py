"""The content decides; the name has a word between kinds of text only."""

import pytest

from ragstore.errors import FileDamaged, FileEmpty, FileEncrypted, FileTooDemanding, FileUnsupported, RagstoreError
from ragstore.parsing.containers import MOST_ENTRIES
from ragstore.parsing.kinds import Kind
from ragstore.parsing.sniffing import sniff
from tests.parsing.samples import make_docx, make_paragraph, make_pdf, make_xlsx, make_zip

MAIL = b"From: a@example.org\r\nSubject: tea\r\n\r\nat five\r\n"
MAILBOX = b"From a Sat Jan  1 00:00:00 2022\n" + MAIL + b"\nFrom b Sun Jan  2 00:00:00 2022\n" + MAIL
NOTEBOOK = b'{"nbformat": 4, "cells": []}'


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (make_pdf([[(11, "a")]]), "a.docx", Kind.PDF),
        (make_docx(make_paragraph("a")), "a.pdf", Kind.DOCX),
        (make_xlsx({"S": [["a"]]}), "", Kind.XLSX),
        (make_zip({"mimetype": "application/epub+zip"}), "", Kind.EPUB),
        (make_zip({"mimetype": Kind.ODT.value}), "", Kind.ODT),
        (b"{\\rtf1 words}", "a.txt", Kind.RTF),
        (b"<!-- hi -->\n<!DOCTYPE html><p>words", "a.pdf", Kind.HTML),
        (b'<?xml version="1.0"?><html xmlns="x"><p>a</p></html>', "", Kind.HTML),
        (b'<?xml version="1.0"?><book>words</book>', "", Kind.XML),
        (MAIL, "", Kind.EML),
        (b"From a@example.org Sat Jan  1 00:00:00 2022\n" + MAIL, "", Kind.EML),
        (MAIL, "a.txt", Kind.TEXT),
        (NOTEBOOK, "", Kind.IPYNB),
        (b'{"a": [1]}', "", Kind.JSON),
        (b"[draft] not JSON at all", "", Kind.TEXT),
        (b"# Title", "a.md", Kind.MARKDOWN),
        (b"# comment", "a.py", Kind.TEXT),
        (b"<p>in a README", "a.md", Kind.MARKDOWN),
        (b"a,b\n1,2\n", "a.csv", Kind.CSV),
        (b"A file begins with %PDF- if it is one.", "a.txt", Kind.TEXT),
    ],
)
def test_the_kind_is_told_by_content(data: bytes, name: str, kind: Kind) -> None:
    assert sniff(data, name)[0] is kind


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        (b"", "a.txt", FileEmpty),
        (b"\xef\xbb\xbf \n", "a.txt", FileEmpty),
        (make_zip({"a.txt": "words"}), "a.docx", FileUnsupported),
        (b"\x1f\x8b\x08\x00" + b"x" * 20, "", FileUnsupported),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 20, "a.txt", FileUnsupported),
        (b"\x7fELF" + b"\x00" * 20, "a.pdf", FileUnsupported),
        (MAILBOX, "", FileUnsupported),
        (make_docx(make_paragraph("a"))[:200], "a.docx", FileDamaged),
        (b"not a zip file", "a.odt", FileDamaged),
        (b"[" * 100_000 + b"]" * 100_000, "a.json", FileDamaged),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le") + b"\0\0", "", FileEncrypted),
        (make_zip({f"{number}": "" for number in range(MOST_ENTRIES + 1)}), "", FileTooDemanding),
    ],
)  # fmt: skip
def test_what_is_not_read_says_why(data: bytes, name: str, error: type[RagstoreError]) -> None:
    with pytest.raises(error):
        sniff(data, name)


def test_a_zip_that_would_grow_too_large_is_not_unpacked() -> None:
    bomb = make_zip({"word/document.xml": b"\0" * (513 * 1024 * 1024)})
    assert len(bomb) < 1024 * 1024
    with pytest.raises(FileTooDemanding, match="Unpacked"):
        sniff(bomb)


def test_many_comments_take_no_time_that_doubles_with_each() -> None:
    text = b"<!-- a -->\n" * 200 + b"Rivers are long."
    assert sniff(text, "notes.md")[0] is Kind.MARKDOWN
