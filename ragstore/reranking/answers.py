"""Reading a rerank endpoint's answer without trusting it: every score stands where its index says."""

import math

import msgspec

from ragstore.errors import RerankerUnavailable


class Item(msgspec.Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None


class Answer(msgspec.Struct):
    """`results` of Cohere, Jina, vLLM, Infinity and LiteLLM; `data` of Voyage."""

    results: list[Item] | None = None
    data: list[Item] | None = None


# the bare list is of text-embeddings-inference
decoder: msgspec.json.Decoder[Answer | list[Item]] = msgspec.json.Decoder(Answer | list[Item])


def read_scores(body: bytes, count: int) -> list[float | None]:
    """Of `count` texts, in their order; None for a text the endpoint left out.

    Raises RerankerUnavailable for an index that is none or comes twice, a score that is no finite number, no score at
    all, and whatever is no such answer.
    """
    scores: list[float | None] = [None] * count
    for item in read_items(body):
        if not 0 <= item.index < count:
            raise RerankerUnavailable("The reranker ranked a text that it was not given")
        if scores[item.index] is not None:
            raise RerankerUnavailable("The reranker ranked a text twice")
        score = item.score if item.relevance_score is None else item.relevance_score
        if score is None or not math.isfinite(score):
            raise RerankerUnavailable("The reranker gave a score that is no number")
        scores[item.index] = score
    if all(score is None for score in scores):
        raise RerankerUnavailable("The reranker ranked none of the texts")
    return scores


def read_items(body: bytes) -> list[Item]:
    try:
        answer = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RerankerUnavailable("The reranker's answer is no list of scores") from None
    items = answer if isinstance(answer, list) else answer.data if answer.results is None else answer.results
    if items is None:
        raise RerankerUnavailable("The reranker's answer is no list of scores")
    return items
