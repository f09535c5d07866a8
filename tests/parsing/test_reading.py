"""What comes out of each kind: text, title, pages."""

import json
import sys
from pathlib import Path

import pytest

from ragstore.errors import FILE_ERRORS, FileDamaged, FileEncrypted, FileUnsupported, FileWithoutText
from ragstore.parsing import extraction
from ragstore.parsing.reading import read_file
from tests.parsing.samples import make_docx, make_encrypted_pdf, make_paragraph, make_pdf, make_xlsx

BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
ELSEWHERE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


def test_each_page_of_a_pdf_begins_where_it_is_said() -> None:
    pages = [[(24, f"Chapter {number}"), (11, f"Words of page {number}.")] for number in range(1, 6)]
    parsed = read_file("a.pdf", make_pdf(pages, title="A book"))
    assert (parsed.title, parsed.metadata["authors"], len(parsed.page_starts)) == ("A book", ["Ada"], 5)
    ends = [*parsed.page_starts[1:], len(parsed.content)]
    for number, (start, end) in enumerate(zip(parsed.page_starts, ends, strict=True), 1):
        page = parsed.content[start:end]
        assert page.startswith(f"# Chapter {number}"), page
        assert f"Words of page {number}." in page
        assert f"page {number + 1}" not in page


def test_an_empty_page_has_its_number_too() -> None:
    parsed = read_file("a.pdf", make_pdf([[(11, "first")], [], [(11, "third")]]))
    assert len(parsed.page_starts) == 3
    assert parsed.content[parsed.page_starts[2] :].strip() == "third"


def test_sheets_are_pages() -> None:
    parsed = read_file("a.xlsx", make_xlsx({"One": [["a", "b"], ["1", "2"]], "Two": [["c"], ["## Two"]]}))
    assert [parsed.content[start : start + 6] for start in parsed.page_starts] == ["## One", "## Two"]
    assert "| 1 | 2 |" in parsed.content


def test_headings_of_a_document_are_kept() -> None:
    body = make_paragraph("Rivers", "Heading1") + make_paragraph("The Danube is long.")
    parsed = read_file("a.docx", make_docx(body))
    assert parsed.content == "## Rivers\n\nThe Danube is long."
    assert parsed.page_starts == []


def test_a_page_of_the_web_is_read_without_what_is_not_text() -> None:
    page = "<html><head><title>T</title><script>x()</script></head><body><h1>Größe</h1><p>Wörter</p></body></html>"
    parsed = read_file("a", page.replace("<head>", '<head><meta charset="iso-8859-1">').encode("iso-8859-1"))
    assert "# Größe" in parsed.content
    assert "Wörter" in parsed.content
    assert "x()" not in parsed.content


def test_russian_rtf_is_russian() -> None:
    letters = "".join(f"\\'{one:02x}" for one in "Привет".encode("cp1251"))
    told = (
        f"{{\\rtf1\\ansi\\ansicpg1252{{\\fonttbl{{\\f0\\fcharset0 A;}}{{\\f1\\fcharset204 B;}}}}\\f1 {letters}\\par}}"
    )
    assert read_file("a.rtf", told.encode()).content == "Привет"


def test_a_notebook_keeps_code_apart_from_words() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Plan\n", "words"]},
        {"cell_type": "code", "source": "print('```')", "outputs": [{"output_type": "stream", "text": ["```\n"]}]},
    ]
    parsed = read_file("a.ipynb", json.dumps({"nbformat": 4, "cells": cells}).encode())
    assert parsed.content == "# Plan\nwords\n\n````python\nprint('```')\n````\n\n````\n```\n````"


def test_a_message_says_who_and_what() -> None:
    mail = (
        "From: Ada <ada@example.org>\nTo: b@example.org\nSubject: =?utf-8?b?VGVl?=\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/plain; charset=iso-8859-1\n'
        "Content-Transfer-Encoding: quoted-printable\n\nSch=F6n\n--x\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="a.pdf"\n\nxx\n--x--\n'
    )
    parsed = read_file("a", mail.encode())
    assert parsed.title == "Tee"
    assert parsed.content == "Subject: Tee\nFrom: Ada <ada@example.org>\nTo: b@example.org\n\nSchön"
    assert parsed.warnings == ["Attachments are not read: a.pdf."]
    assert not parsed.markdown


def test_what_cannot_be_stored_is_replaced_and_counted() -> None:
    parsed = read_file("a.json", b'{"a": "words"}')
    assert parsed.warnings == []
    mail = b"From: a@example.org\nSubject: a\n\nbefore\x00after\n" + b"words " * 50
    parsed = read_file("a", mail)
    assert "before\ufffdafter" in parsed.content
    assert parsed.warnings == ["1 characters that cannot be stored were replaced."]


@pytest.mark.parametrize("xml", [BOMB, ELSEWHERE])
def test_entities_are_never_expanded(xml: str) -> None:
    with pytest.raises(FileUnsupported, match="entities"):
        read_file("a.xml", xml.encode())


@pytest.mark.parametrize("value", ['SYSTEM "file://{secret}"', '"{lots}"'])
def test_word_files_that_declare_entities_reveal_and_cost_nothing(tmp_path: Path, value: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    value = value.format(secret=secret, lots="ha " * 1000)
    declared = f"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b {value}><!ENTITY c '{'&b;' * 1000}'>]>"
    body = make_paragraph("start &b; &c; end")
    try:
        parsed = read_file("a.docx", make_docx(body, declared))
    except FILE_ERRORS:
        return
    assert "secret" not in parsed.content
    assert len(parsed.content) < 5000


def test_pictures_of_text_and_locked_files_are_told_apart() -> None:
    with pytest.raises(FileWithoutText):
        read_file("a.pdf", make_pdf([[]]))
    with pytest.raises(FileEncrypted):
        read_file("a.pdf", make_encrypted_pdf())
    with pytest.raises(FileDamaged):
        read_file("a.pdf", make_pdf([[(11, "words")]])[:200])


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kreuzberg", None)
    extraction.load.cache_clear()
    try:
        assert read_file("a.md", b"# Title").markdown
        with pytest.raises(FileUnsupported, match=r"ragstore\[files\]"):
            read_file("a.pdf", make_pdf([[(11, "words")]]))
    finally:
        extraction.load.cache_clear()
