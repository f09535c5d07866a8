import codecs

import pytest

from ragstore.errors import FileUnsupported
from ragstore.parsing.decoding import decode

RUSSIAN = "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью. " * 3
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。" * 4
ENGLISH = "All human beings are born free and equal in dignity and rights.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "utf-8"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (RUSSIAN, "utf-16"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (ENGLISH, "utf-32"),
        (ENGLISH, "utf-32-le"),
        (ENGLISH, "utf-8-sig"),
    ],
)
def test_the_text_comes_out_as_it_was_written(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding))
    assert decoded.text.strip() == text.strip()
    assert decoded.warnings == []


def test_a_few_bad_bytes_do_not_spoil_the_rest() -> None:
    decoded = decode("café ".encode() + b"\xff\xfe" + "naïve".encode())
    assert decoded.text == "café \ufffd\ufffdnaïve"
    assert decoded.warnings == ["2 characters are not valid utf-8."]


def test_what_a_page_says_of_itself_is_believed() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body>Łódź</body></html>'
    assert decode(page.encode("iso-8859-2")).text == page


def test_a_mark_wins_over_what_is_said() -> None:
    page = codecs.BOM_UTF8 + '<meta charset="iso-8859-2">Łódź'.encode()
    assert decode(page).text == '<meta charset="iso-8859-2">Łódź'


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"\x00\x01\x02\x03" * 100])
def test_bytes_are_no_text(data: bytes) -> None:
    with pytest.raises(FileUnsupported):
        decode(data)
