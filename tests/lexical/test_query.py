import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstore.lexical.analysis import LONGEST_TERM, get_analyzer
from ragstore.lexical.query import LONGEST_WITH_OPERATORS, MOST_PHRASES, MOST_TERMS, LexicalQuery, parse_query

PIECES = st.sampled_from([
    "word", "the", " ", "-", '"', "“", "”", "'", "&", "|", "!", "(", ")", ":*", "<->", "\\", "\0", "\n", "5", "日本語",
    "ไทย", "שלום", "\u202e", "🐈", "\ud800", "é", "\u0301", "--", ' -"', "%", ";",
])  # fmt: skip


def parse(text: str) -> LexicalQuery:
    return parse_query(text, get_analyzer("english"))


@pytest.mark.parametrize(
    ("text", "terms", "phrases", "excluded"),
    [
        ("running dogs run", {"run": 2, "dog": 1}, (), ()),
        ('"speed of light" light', {"speed": 1, "light": 2}, (("speed", "of", "light"),), ()),
        ("“speed of light”", {"speed": 1, "light": 1}, (("speed", "of", "light"),), ()),
        ("jaguar -car", {"jaguar": 1}, (), (("car",),)),
        ('jaguar -"sports cars"', {"jaguar": 1}, (), (("sport", "car"),)),
        ("jaguar -sports-car", {"jaguar": 1}, (), (("sport", "car"),)),
        ('"jaguars"', {"jaguar": 1}, (("jaguar",),), ()),
        ('"dog" cat "dogs"', {"dog": 2, "cat": 1}, (("dog",),), ()),
        ("well-known - fact --force", {"well": 1, "known": 1, "fact": 1, "forc": 1}, (), ()),
        ("below -5 degrees", {"5": 1, "degre": 1}, (), ()),
        ("-car", {}, (), (("car",),)),
        ('a lone "quote mark', {"lone": 1, "quot": 1, "mark": 1}, (), ()),
        ('5" and 7" pipes', {"5": 1, "7": 1, "pipe": 1}, (), ()),
        ('"" -"" -!!! dog', {"dog": 1}, (), ()),
        ("to be or not to be", {"to": 2, "be": 2, "or": 1, "not": 1}, (), ()),
        ("the the who", {"the": 2, "who": 1}, (), ()),
        ("cat & dog | !bird:* <-> (fish)", {"cat": 1, "dog": 1, "bird": 1, "fish": 1}, (), ()),
        ("", {}, (), ()),
        ("?!… \0", {}, (), ()),
    ],
)
def test_what_a_query_means(
    text: str, terms: dict[str, int], phrases: tuple[tuple[str, ...], ...], excluded: tuple[tuple[str, ...], ...]
) -> None:
    assert parse(text) == LexicalQuery(terms, phrases, excluded)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=60).map("".join)))
def test_any_string_is_a_query(text: str) -> None:
    query = parse(text)
    assert len(query.terms) <= MOST_TERMS
    assert all(count > 0 and 0 < len(term) <= LONGEST_TERM for term, count in query.terms.items())
    for phrases in (query.phrases, query.excluded):
        assert len(phrases) <= MOST_PHRASES
        assert all(0 < len(phrase) <= MOST_TERMS for phrase in phrases)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters='"“”„＂-'), max_size=80))
def test_a_query_without_operators_is_its_words(text: str) -> None:
    analyzer = get_analyzer("simple")
    query = parse_query(text, analyzer)
    assert list(query.terms) == list(dict.fromkeys(analyzer.terms(text)))[:MOST_TERMS]
    assert (query.phrases, query.excluded) == ((), ())


@pytest.mark.parametrize(
    "piece", ["a", '"', '" a ', " -a", ' -"', "a.", "漢", "\u0301\u0327", "“", "\0", "🐈", "w "], ids=ascii
)
def test_a_query_of_a_megabyte_is_bounded(piece: str) -> None:
    query = parse(piece * (1_000_000 // len(piece)))
    assert len(query.terms) <= 2
    assert (query.phrases, query.excluded) == ((), ())


@pytest.mark.parametrize("piece", ['"', '" a ', " -a", ' -"', '-"', '"a'])
def test_a_query_of_operators_alone_is_bounded(piece: str) -> None:
    query = parse(piece * (LONGEST_WITH_OPERATORS // len(piece)))
    assert len(query.terms) <= 1
    assert max(len(query.phrases), len(query.excluded)) <= 1


def test_of_too_many_terms_the_repeated_ones_stay_then_the_first() -> None:
    words = [f"w{number}" for number in range(200)]
    terms = parse(" ".join([*words, "w150", "w199"])).terms
    assert list(terms) == [*words[: MOST_TERMS - 2], "w150", "w199"]
    assert (terms["w0"], terms["w199"]) == (1, 2)


def test_of_too_many_phrases_the_first_stay() -> None:
    query = parse(" ".join(f'"x{number}" -z{number}' for number in range(20)))
    assert query.phrases == tuple((f"x{number}",) for number in range(MOST_PHRASES))
    assert query.excluded == tuple((f"z{number}",) for number in range(MOST_PHRASES))


def test_a_long_text_demands_nothing() -> None:
    query = parse('He wrote "open sesame" -twice ' + "and went on to other matters " * 10)
    assert {"open", "sesam", "twice"} <= query.terms.keys()
    assert (query.phrases, query.excluded) == ((), ())
