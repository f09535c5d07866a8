"""A query vector as a client may send it. Pure."""

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.given import NoVector, decode_given
from ragstore.embedding.provider import DIMENSIONS, check_vectors, pad_vectors, to_unit_length
from ragstore.errors import FieldError, InvalidVector


def read_vector(
    given: list[float] | str, native: int, path: str = "vector", *, scale: bool = True
) -> NDArray[np.float32]:
    """Shape (1536,), of unit length or as it is. Raises InvalidVector that says what was expected and what came."""
    try:
        vector = decode_given(given)
    except NoVector as error:
        raise wrong(path, str(error)) from None
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


def wrong(path: str, message: str) -> InvalidVector:
    return InvalidVector(f"{path} {message}.", errors=(FieldError(path, message),))
