"""Token counts, for chunk sizes and for provider batches, on one tokenizer whatever the embedding model is.

It is the Llama-2 vocabulary that ships in the wordllama wheel. English counts come out 10-20 % above those of
OpenAI's cl100k, so a chunk or a batch that fits here fits there.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import Split

from ragstore.embedding.words import KnownWords
from ragstore.errors import ConfigurationError

TOKENIZER_FILE = "tokenizers/l2_supercat_tokenizer_config.json"

# No token of this vocabulary has "▁" (a space) behind another character, so no merge crosses the start of a word:
# cut there, the tokens are the same, and a text of a megabyte takes linear time.
WORD = Regex("▁*[^▁]+")


def wordllama_file(name: str) -> Path:
    """A file of the installed wordllama wheel, found without importing wordllama: its import takes half a second,
    configures the root logger and brings an HTTP client, and its loader downloads what it does not find.
    """
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The package wordllama is not installed")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise ConfigurationError(f"The installed wordllama lacks {name}; ragstore needs 0.4.0.post1 or a later 0.4")
    return path


@cache
def load_tokenizer() -> Tokenizer:
    """The shared tokenizer, safe to use from several threads. It neither pads nor truncates: leave it so."""
    tokenizer = Tokenizer.from_file(str(wordllama_file(TOKENIZER_FILE)))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.pre_tokenizer = Split(WORD, behavior="isolated")
    return tokenizer


@cache
def known_words() -> KnownWords:
    return KnownWords(load_tokenizer())


def encode_texts(texts: Sequence[str]) -> list[NDArray[np.uint16]]:
    """The token ids of each text, without start and end marks. Takes a core 0.1 ms for a passage of 300 words that
    were met before, and 0.4 ms for one of new words: long lists belong in a thread.
    """
    return known_words().encode(texts)


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, as `encode_texts` has them."""
    return [len(ids) for ids in encode_texts(texts)]
