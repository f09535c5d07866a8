"""Bytes of text in any encoding to a string."""

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from ragstore.errors import FileUnsupported

MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 256 * 1024  # bytes an encoding is guessed from
LEAST_ZEROS, LEAST_ZEROS_ASCII = 0.02, 0.3
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
NOT_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
DECLARED = re.compile(
    rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})|<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""",
    re.IGNORECASE,
)
FEW = 8  # bad bytes
BINARY_SHARE = 0.02  # of control characters, from which on nobody would call it text


@dataclass(frozen=True)
class Decoded:
    text: str
    encoding: str
    warnings: list[str]


def decode(data: bytes) -> Decoded:
    """Raises FileUnsupported for what is no text."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return decode_as(data, encoding)
    if b"\x00" in data[:SAMPLE] and (wide := find_wide(data[:SAMPLE])):
        return decode_as(data, wide)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if is_nearly_utf8(data, error.start):
            return decode_as(data, "utf-8")
    else:
        check_text(data)
        return Decoded(text, "utf-8", [])
    check_text(data)
    return decode_as(data, guess(data))


def decode_as(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors="replace")
    spoilt = text.count("\ufffd")
    warnings = [f"{spoilt} characters are not valid {encoding}."] if spoilt else []
    return Decoded(text, encoding, warnings)


def find_wide(sample: bytes) -> str | None:
    """UTF-16 and UTF-32 without a mark: zeros stand where the high bytes of many letters are."""
    rest = sample.replace(b"\x00", b"")
    zeros = 1 - len(rest) / len(sample)
    if zeros < (LEAST_ZEROS_ASCII if rest.isascii() else LEAST_ZEROS):
        return None
    for encoding in WIDE:
        width = 4 if "32" in encoding else 2
        text = sample[: len(sample) // width * width].decode(encoding, errors="replace")
        if text and all(one.isspace() or (one.isprintable() and one != "\ufffd") for one in text):
            return encoding
    return None


def is_nearly_utf8(data: bytes, first: int) -> bool:
    """Some bad bytes among good sequences, which other encodings hardly have by chance, or a cut at the very end."""
    text = data[:SAMPLE].decode(errors="replace")
    bad = text.count("\ufffd")
    good = sum(1 for one in text if "\x80" <= one != "\ufffd")
    if good >= 2:
        return good >= 4 * bad or bad <= FEW
    return bad <= 1 and first >= len(data) - 3


def guess(data: bytes) -> str:
    """What a page or XML says of itself, else what its letters look like."""
    if (found := DECLARED.search(data[:2048])) is not None:
        name = (found[1] or found[2]).decode("ascii")
        try:
            codecs.lookup(name)
            data[:SAMPLE].decode(name, errors="replace")
        except (LookupError, UnicodeError):
            pass
        else:
            return name
    sample = data[:SAMPLE]
    whole = sample if len(data) <= SAMPLE else sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(whole).best()
    if best is None:
        raise FileUnsupported("The file is no text in any known encoding, and of no known kind.")
    return best.encoding


def check_text(data: bytes) -> None:
    sample = data[:SAMPLE]
    controls = len(NOT_TEXT.findall(sample))
    if controls > BINARY_SHARE * len(sample) and controls > 1:
        raise FileUnsupported("The file is binary, of no known kind.")
