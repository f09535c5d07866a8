"""Token counts, for chunk sizes and for provider batches, on one tokenizer whatever the embedding model is.

It is the Llama-2 vocabulary that ships in the wordllama wheel. English counts come out 10-20 % above those of
OpenAI's cl100k, so a chunk or a batch that fits here fits there.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import Split

from ragstore.errors import ConfigurationError

TOKENIZER_FILE = "tokenizers/l2_supercat_tokenizer_config.json"

# No token of this vocabulary has "▁" (a space) behind another character, so no merge crosses the start of a word:
# cut there, the tokens are the same, and a text of a megabyte takes linear time.
WORD = "▁*[^▁]+"
FIND_WORDS = re.compile(f"{WORD}|▁+")
CONTROL_TOKENS = re.compile("</?s>|<unk>")  # the tokenizer looks for these in every text before it looks for words
LONGEST_KNOWN_WORD = 32  # characters
MOST_KNOWN_WORDS = 100_000


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
    tokenizer.pre_tokenizer = Split(Regex(WORD), behavior="isolated")
    return tokenizer


class TokensByWord(dict[str, tuple[int, ...]]):
    """The tokens of words met before: texts repeat their words, and to look one up costs a fifth of cutting it."""

    def __init__(self) -> None:
        self.model = load_tokenizer().model

    def __missing__(self, word: str) -> tuple[int, ...]:
        tokens = tuple(token.id for token in self.model.tokenize("▁" + word))
        if len(word) <= LONGEST_KNOWN_WORD:
            if len(self) >= MOST_KNOWN_WORDS:
                self.clear()
            self[word] = tokens
        return tokens


@cache
def load_words() -> TokensByWord:
    """Threads may share it."""
    return TokensByWord()


def find_tokens(text: str) -> list[int]:
    """The ids of a text's tokens, without start and end marks: as the tokenizer has them, in a fifth of its time."""
    if CONTROL_TOKENS.search(text):
        return load_tokenizer().encode(text, add_special_tokens=False).ids
    return list(chain.from_iterable(map(load_words().__getitem__, list_words(text))))


def count_text(text: str) -> int:
    if CONTROL_TOKENS.search(text):
        return len(load_tokenizer().encode(text, add_special_tokens=False).ids)
    return sum(map(len, map(load_words().__getitem__, list_words(text))))


def list_words(text: str) -> list[str]:
    """What the tokenizer takes a text apart into: each word with the spaces before it but one, which all have."""
    if not (text.startswith(" ") or text.endswith(" ") or "  " in text or "▁" in text):
        return text.split(" ") if text else []
    return [word[1:] for word in FIND_WORDS.findall("▁" + text.replace(" ", "▁"))]


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, without start and end marks. Takes 1 ms for 20 passages: long lists belong in a thread."""
    return [count_text(text) for text in texts]
