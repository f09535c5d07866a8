"""What parent and child say: a length, then MessagePack; a file's bytes follow its question as they are."""

import struct
from typing import BinaryIO

import msgspec

from ragstore.errors import FILE_ERRORS, FileDamaged, Unprocessable
from ragstore.parsing.parsed import ParsedFile

LENGTH = struct.Struct(">I")
READY = b"ready"  # said once, when everything is loaded
LARGEST_ANSWER = 80 * 1024 * 1024  # bytes; a document's text at its worst, and more
BY_SLUG = {one.slug: one for one in FILE_ERRORS}


class Question(msgspec.Struct):
    """`size` bytes follow. `seconds` of CPU the answer may take."""

    name: str
    size: int
    seconds: float


class Refusal(msgspec.Struct):
    slug: str
    detail: str


class Answer(msgspec.Struct):
    parsed: ParsedFile | None = None
    refusal: Refusal | None = None


def to_frame(message: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Raises EOFError when the other side has gone."""
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def read_question(stream: BinaryIO) -> tuple[Question, bytes]:
    (size,) = LENGTH.unpack(read_exactly(stream, LENGTH.size))
    question = msgspec.msgpack.decode(read_exactly(stream, size), type=Question)
    return question, read_exactly(stream, question.size)


def to_error(refusal: Refusal) -> Unprocessable:
    return BY_SLUG.get(refusal.slug, FileDamaged)(refusal.detail)
