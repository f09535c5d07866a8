"""Vectors as clients send them: numbers, or base64 of little-endian float32. Pure."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.provider import DIMENSIONS, LEAST_SQUARED_NORM, MOST_SQUARED_NORM, squared_norms


class NoVector(ValueError):
    """What is wrong, to be put behind the name of the field."""


def decode_given(given: Sequence[float] | str) -> NDArray[np.float32]:
    """Shape (d,). Raises NoVector for what is no base64 of float32; numbers beyond float32 become infinite."""
    if not isinstance(given, str):
        with np.errstate(over="ignore"):
            narrowed: NDArray[np.float32] = np.asarray(given, dtype=np.float64).astype(np.float32)
        return narrowed
    try:
        raw = msgspec.convert(given, bytes)  # in a quarter of the standard library's time, and as strict
    except msgspec.ValidationError:
        raise NoVector("must be base64") from None
    if len(raw) % 4:
        raise NoVector(f"must be float32 numbers: {len(raw)} bytes are not a multiple of 4")
    return np.frombuffer(raw, dtype="<f4")


def check_width(width: int, wanted: int | None) -> None:
    """Raises NoVector. `wanted` is what the document's other vectors have."""
    if not 1 <= width <= DIMENSIONS:
        raise NoVector(f"must have 1 to {DIMENSIONS} dimensions, has {width}")
    if wanted not in (None, width):
        raise NoVector(f"must have {wanted} dimensions as the vectors before it, has {width}")


def find_unusable(vectors: NDArray[np.float32]) -> Iterator[tuple[int, str]]:
    """The rows that cannot be compared with others, and why."""
    squared = squared_norms(vectors)  # in float64, where no sum of float32 squares overflows: finite if all numbers are
    for row in np.flatnonzero(~((squared >= LEAST_SQUARED_NORM) & (squared <= MOST_SQUARED_NORM))):
        finite = np.isfinite(vectors[row])
        if not finite.all():
            place = int(np.argmin(finite))
            yield int(row), f"must hold numbers that are finite in float32, number {place} is {vectors[row, place]}"
        else:
            yield int(row), "is too short or too long to compare" if vectors[row].any() else "must not be all zero"
