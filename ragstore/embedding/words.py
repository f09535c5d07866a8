"""Token ids of texts by their words: what the tokenizer said of a word is kept, for it says the same each time."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

MOST_WORDS = 100_000  # kept at once: 20 MB
LONGEST_WORD = 40  # characters; text without spaces is one long word, which is not met again
LINE_WORDS = 200  # new words shown to the tokenizer at once

SPACED_WORD = re.compile(" *[^ ]+| +")


class KnownWords:
    """For a tokenizer that cuts at spaces before all else (see `tokens.WORD`). Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self.begins = np.zeros(len(vocabulary), dtype=bool)  # of each token: does a word begin with it
        self.begins[[index for token, index in vocabulary.items() if token.startswith("▁")]] = True
        # The tokenizer puts a space before each text, so it cannot be asked for a lone one.
        self.space = np.array([vocabulary["▁"]], dtype=np.uint16).tobytes()
        self.known = {"": self.space}

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        split = [split_words(text) for text in texts]
        known, passing = self.learn({word for words in split for word in words})
        if passing:
            parts = [[known.get(word) or passing[word] for word in words] for words in split]
        else:
            parts = [[known[word] for word in words] for words in split]
        found = [np.frombuffer(b"".join(part), dtype=np.uint16) for part in parts]
        marked = [index for index, text in enumerate(texts) if has_mark(text)]
        for index, ids in zip(marked, self.ask([texts[index] for index in marked]), strict=True):
            found[index] = ids
        return found

    def learn(self, words: set[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The ids of all of them: of words that are kept, and of those that are too long or too many for it. Another
        thread may put an empty dictionary in the place of the first, and leaves the one returned here alone.
        """
        known, passing = self.known, dict[str, bytes]()
        missing = [word for word in words if word not in known]
        if len(known) + len(missing) > MOST_WORDS:
            known = self.known = {"": self.space}
            missing = [word for word in words if word]
        kept = known if len(missing) < MOST_WORDS else passing
        long = [word for word in missing if len(word) > LONGEST_WORD]
        passing.update(zip(long, (ids.tobytes() for ids in self.ask(long)), strict=True))
        spaced = [word for word in missing if word[0] == " " and len(word) <= LONGEST_WORD]
        kept.update(zip(spaced, (ids.tobytes() for ids in self.ask(spaced)), strict=True))
        plain = [word for word in missing if word[0] != " " and len(word) <= LONGEST_WORD]
        lines = [plain[start : start + LINE_WORDS] for start in range(0, len(plain), LINE_WORDS)]
        for line, ids in zip(lines, self.ask([" ".join(line) for line in lines]), strict=True):
            kept.update(zip(line, self.cut(ids), strict=True))
        return known, passing

    def cut(self, ids: NDArray[np.uint16]) -> list[bytes]:
        """The ids of each word of a line."""
        starts = np.flatnonzero(self.begins[ids])
        return [one.tobytes() for one in np.split(ids, starts[1:])]

    def ask(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]


def split_words(text: str) -> list[str]:
    """The words without the one space before each; nothing for what is left to the tokenizer."""
    if not text or has_mark(text):
        return []
    if "▁" in text:
        text = text.replace("▁", " ")  # the same to the tokenizer
    if "  " in text or text[0] == " ":
        return [word[1:] for word in SPACED_WORD.findall(" " + text)]
    return text.split(" ")


def has_mark(text: str) -> bool:
    """The tokenizer reads these as marks, wherever they stand."""
    return "<s>" in text or "</s>" in text or "<unk>" in text
