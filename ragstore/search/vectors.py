"""A query vector as a client may send it. Pure."""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.provider import DIMENSIONS, check_vectors, pad_vectors, to_unit_length
from ragstore.errors import FieldError, InvalidVector


def read_vector(
    given: list[float] | str, native: int, path: str = "vector", *, scale: bool = True
) -> NDArray[np.float32]:
    """Shape (1536,), of unit length or as it is. Raises InvalidVector that says what was expected and what came."""
    vector = decode_base64(given, path) if isinstance(given, str) else to_float32(given, path)
    if vector.shape[0] not in (DIMENSIONS, native):
        widths = f"{DIMENSIONS}" if native in (0, DIMENSIONS) else f"{native} or {DIMENSIONS}"
        raise wrong(path, f"must have {widths} dimensions, has {vector.shape[0]}")
    padded = pad_vectors(vector[None], error=InvalidVector)
    try:
        check_vectors(padded, (1, DIMENSIONS), error=InvalidVector)
    except InvalidVector as error:
        message = "must hold finite numbers and not be all zero"
        raise InvalidVector(error.detail, errors=(FieldError(path, message),)) from None
    given_or_scaled: NDArray[np.float32] = (to_unit_length(padded) if scale else padded)[0]
    return given_or_scaled


def decode_base64(text: str, path: str) -> NDArray[np.float32]:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong(path, "must be base64") from None
    if len(raw) % 4:
        raise wrong(path, f"must be float32 numbers: {len(raw)} bytes are not a multiple of 4")
    return np.frombuffer(raw, dtype="<f4").astype(np.float32)


def to_float32(numbers: list[float], path: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # 1e39 becomes infinity, which is refused by name
        narrowed: NDArray[np.float32] = np.asarray(numbers, dtype=np.float64).astype(np.float32)
    return narrowed


def wrong(path: str, message: str) -> InvalidVector:
    return InvalidVector(f"{path} {message}.", errors=(FieldError(path, message),))
