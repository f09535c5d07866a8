"""Token counts, for chunk sizes and for provider batches, on one tokenizer whatever the embedding model is.

It is the Llama-2 vocabulary that ships in the wordllama wheel. English counts come out 10-20 % above those of
OpenAI's cl100k, so a chunk or a batch that fits here fits there.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import Split

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


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, without start and end marks. Takes 1 ms for 4 passages: long lists belong in a thread."""
    encodings = load_tokenizer().encode_batch_fast(list(texts), add_special_tokens=False)
    return [len(encoding) for encoding in encodings]
