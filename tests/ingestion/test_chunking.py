import itertools
import random
from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_text_splitter import TextSplitter

from ragstore.collection.schemas import Chunking, Strategy
from ragstore.document.publishing import Passage
from ragstore.embedding.tokens import count_tokens, load_tokenizer
from ragstore.ingestion.chunking import find_too_long, split_texts
from ragstore.ingestion.chunking.passages import LONGEST_TOKEN, MOST_TOKENS
from ragstore.ingestion.chunking.windows import WINDOW, cut_by_tokens, cut_in_windows, make_splitter

SMALL = Chunking(size=16, overlap=4)
PIECES = st.sampled_from(
    ["word ", "naïve ", "日本語。", "🐈‍⬛ ", "\n\n", ". ", "\t", "x" * 40, "é", "ก็", " ", "\n# A\n",
     "```\n", "\n- b", "Dr. B", "שלום! "]
)  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=60).map("".join), max_size=4)
STRATEGIES = get_args(Strategy)
CUTTING = [strategy for strategy in STRATEGIES if strategy != "none"]


def check_passages(text: str, passages: list[Passage], chunking: Chunking) -> None:
    covered: set[int] = set()
    for passage in passages:
        assert text[passage.start : passage.end] == passage.content == passage.content.strip()
        assert 0 < passage.token_count <= chunking.size or chunking.strategy == "none"
        covered.update(range(passage.start, passage.end))
    left = "".join(character for index, character in enumerate(text) if index not in covered)
    assert left.strip() == "" or not left.isprintable()
    for one, two in itertools.pairwise(passages):
        assert one.start < two.start
        assert one.end < two.end
        assert not count_tokens([text[two.start : one.end]])[0] > chunking.overlap


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=100, deadline=None)
@given(texts=TEXTS, overlap=st.sampled_from([0, 4, 15]))
def test_every_passage_is_cut_out_of_its_text_and_none_is_too_long(
    strategy: Strategy, texts: list[str], overlap: int
) -> None:
    chunking = Chunking(16, overlap, strategy)
    cut = split_texts(texts, chunking)
    assert len(cut) == len(texts)
    for text, passages in zip(texts, cut, strict=True):
        check_passages(text, passages, chunking)


@settings(max_examples=20, deadline=None)
@given(texts=TEXTS)
def test_tokens_cuts_as_the_splitter_does_with_the_tokenizer_itself(texts: list[str]) -> None:
    """Counting with words that are known is but faster."""
    splitter = TextSplitter.from_huggingface_tokenizer(load_tokenizer(), 16, overlap=4)
    assert cut_by_tokens(texts, SMALL) == cut_in_windows(texts, splitter, WINDOW * 16)


def test_a_short_text_is_one_passage_without_the_white_space_around_it() -> None:
    for strategy in STRATEGIES:
        ((passage,),) = split_texts(["  hello world\n"], Chunking(strategy=strategy))
        assert (passage.content, passage.start, passage.end) == ("hello world", 2, 13)


@pytest.mark.parametrize("strategy", CUTTING)
@pytest.mark.parametrize(
    "text",
    ["a" * 50_000, "🐈" * 10_000, "word " * 30_000, "# a\n" * 5_000, "```\n" + "x = 1\n" * 9_000, "." * 20_000,
     "*[`" * 9_000, "\n" * 99_000, '."' * 9_000, "שלום עולם. " * 5_000, "a" + " " * 99_000 + "b", "A b. " * 9_000],
    ids=["one word", "emoji", "words", "headings", "a fence", "dots", "marks", "lines", "quotes", "right to left",
         "spaces", "sentences"],
)  # fmt: skip
def test_a_text_without_end_is_cut_in_bounded_time(text: str, strategy: Strategy) -> None:
    (passages,) = split_texts([text], Chunking(64, 8, strategy))
    assert all(one.token_count <= 64 for one in passages)
    spoken = {index for one in passages for index in range(one.start, one.end)}
    assert all(character.isspace() for index, character in enumerate(text) if index not in spoken)


@pytest.mark.parametrize("strategy", CUTTING)
@pytest.mark.parametrize("cluster", ["🐈‍⬛", "👩‍🚀", "e\u0301\u0323", "ก็", "🇩🇪", "👍🏽", "नि"])
def test_what_a_reader_takes_for_one_character_is_never_split(cluster: str, strategy: Strategy) -> None:
    text = cluster * 700
    (passages,) = split_texts([text], Chunking(64, 8, strategy))
    assert len(passages) > 1
    assert all(one.start % len(cluster) == 0 == one.end % len(cluster) for one in passages)


def test_passages_overlap_by_no_more_than_asked() -> None:
    text = " ".join(f"w{number}" for number in range(200))
    (passages,) = split_texts([text], Chunking(size=64, overlap=16))
    shared = [max(0, one.end - two.start) for one, two in itertools.pairwise(passages)]
    assert any(shared)
    (apart,) = split_texts([text], Chunking(size=64, overlap=0))
    assert all(one.end <= two.start for one, two in itertools.pairwise(apart))


@pytest.mark.parametrize("letters", ["日本語の文章です", "a", "e\u0301"], ids=["Japanese", "one letter", "combining"])
def test_the_time_of_cutting_grows_with_the_text_and_not_with_its_square(letters: str) -> None:
    """Counted, not timed: what the splitter is shown at once never grows."""
    shown: list[int] = []

    class Watched:
        def __init__(self) -> None:
            self.splitter = make_splitter(64, 8)

        def chunk_indices(self, window: str) -> list[tuple[int, str]]:
            shown.append(len(window))
            return self.splitter.chunk_indices(window)

    text = letters * (40_000 // len(letters))
    (pieces,) = cut_in_windows([text], cast(TextSplitter, Watched()), WINDOW * 64)
    assert max(shown) <= WINDOW * 64
    assert sum(shown) < 3 * len(text)
    assert all(text[start : start + len(piece)] == piece for start, piece in pieces)


def test_markdown_is_cut_before_headings_and_never_within_a_block_that_fits() -> None:
    chance = random.Random(1)
    blocks = []
    for number in range(120):
        words = " ".join(chance.choice(["alpha", "beta", "gamma", "delta"]) for _ in range(chance.randrange(5, 25)))
        kind = number % 4
        blocks.append([f"## Part {number}", f"{words}.", f"```\n# {words}\n\n{number}\n```", f"> {words}"][kind])
    text = "\n\n".join(blocks)
    (passages,) = split_texts([text], Chunking(64, 0, "markdown"))
    check_passages(text, passages, Chunking(64, 0, "markdown"))
    assert len(passages) > 30
    starts = set(itertools.accumulate((len(block) + 2 for block in blocks), initial=0))
    assert {one.start for one in passages} <= starts


def test_a_long_fence_does_not_turn_what_follows_into_code() -> None:
    sections = "".join(f"## Part {number}\n\n{'Some words of it. ' * 8}\n\n" for number in range(60))
    text = "# Code\n\n```\n" + "x = 1  # not a heading\n" * 400 + "```\n\n" + sections
    (passages,) = split_texts([text], Chunking(64, 0, "markdown"))
    assert [one.content.split("\n")[0] for one in passages if one.start >= text.index("## Part")] == [
        f"## Part {number}" for number in range(60)
    ]


def test_sentences_stay_whole_and_overlap_whole() -> None:
    said = [f"This is sentence number {number}, said by Dr. Smith." for number in range(60)]
    (passages,) = split_texts([" ".join(said)], Chunking(64, 20, "sentences"))
    told = [[one for one in said if one in passage.content] for passage in passages]
    assert all(" ".join(sentences) == passage.content for sentences, passage in zip(told, passages, strict=True))
    assert all(one[-1] == two[0] for one, two in itertools.pairwise(told))
    assert list(dict.fromkeys(itertools.chain.from_iterable(told))) == said


def test_a_sentence_longer_than_a_passage_is_cut_by_tokens() -> None:
    long = "And so " * 100 + "on."
    (passages,) = split_texts([f"First. {long} Last."], Chunking(32, 0, "sentences"))
    assert (passages[0].content, passages[-1].content) == ("First.", "Last.")
    assert len(passages) > 6


def test_none_keeps_a_document_whole_and_says_which_is_too_long_for_it() -> None:
    fits, long = "a " * MOST_TOKENS, "a " * (MOST_TOKENS + 1)
    rule = Chunking(16, 0, "none")
    assert [len(one) for one in split_texts([fits, long], rule)] == [1, 1]
    assert list(find_too_long([fits.strip(), long.strip(), "x" * 999_999], rule)) == [1, 2]
    assert find_too_long([long], Chunking()) == {}


def test_no_token_is_longer_than_taken_for_granted() -> None:
    assert max(len(token) for token in load_tokenizer().get_vocab() if not token.startswith("<")) == LONGEST_TOKEN
