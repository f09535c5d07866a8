"""Reading a provider's `/embeddings` answer without trusting it: every vector stands where its index says."""

from binascii import Error as Base64Error
from binascii import a2b_base64

import msgspec
import numpy as np
from numpy.typing import NDArray

from ragstore.errors import ProviderFailed


class Item(msgspec.Struct):
    index: int
    embedding: str | list[float]


class Answer(msgspec.Struct):
    data: list[Item]


decoder = msgspec.json.Decoder(Answer)


def read_answer(body: bytes, count: int) -> NDArray[np.float32]:
    """Shape (count, d) in the order of the texts, whatever the order of the answer.

    Raises ProviderFailed unless there is exactly one vector for each text and all have one width.
    """
    try:
        items = decoder.decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderFailed(f"The model provider's answer is no list of embeddings: {error}") from None
    if len(items) != count:
        raise ProviderFailed(f"The model provider answered {len(items)} vectors for {count} texts")
    items.sort(key=lambda item: item.index)
    if any(item.index != position for position, item in enumerate(items)):
        raise ProviderFailed("The model provider's answer has missing, repeated or impossible indexes")
    vectors = [decode_vector(item.embedding) for item in items]
    widths = {len(vector) for vector in vectors}
    if len(widths) != 1 or 0 in widths:
        raise ProviderFailed(f"The model provider answered vectors of {sorted(widths)} dimensions in one call")
    return np.stack(vectors)


def decode_vector(embedding: str | list[float]) -> NDArray[np.float32]:
    if isinstance(embedding, list):
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the check refuses
            return np.array(embedding, dtype=np.float64).astype(np.float32)
    try:
        return np.frombuffer(a2b_base64(embedding, strict_mode=True), dtype="<f4")
    except (Base64Error, ValueError):
        raise ProviderFailed("The model provider's answer holds a vector that is no base64 of float32") from None
