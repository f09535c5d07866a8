from hypothesis import given, settings
from hypothesis import strategies as st

from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.highlighting import find_matches
from ragstore.lexical.query import parse_query


def mark(text: str, query: str) -> str:
    analyzer = get_analyzer("english")
    parsed = parse_query(query, analyzer)
    for start, end in reversed(find_matches(text, parsed.terms, analyzer, parsed.phrases)):
        text = f"{text[:start]}[{text[start:end]}]{text[end:]}"
    return text


def test_every_form_of_a_wanted_word_is_marked_and_nothing_else() -> None:
    assert (
        mark("Dogs run. A dog’s running; hotdogs not.", "dog runs") == "[Dogs] [run]. A [dog’s] [running]; hotdogs not."
    )


def test_places_count_the_code_points_of_the_original() -> None:
    assert mark("🐈 ﬁne \u00adCafe\u0301 STRASSE", "café fine straße") == "🐈 [ﬁne] \u00ad[Cafe\u0301] [STRASSE]"


def test_pairs_of_characters_become_one_span() -> None:
    assert mark("これは日本語の文です", "日本語") == "これは[日本語]の文です"
    assert mark("毎日、本を読む", "日本") == "毎日、本を読む"
    assert mark("水と木", "木") == "水と[木]"
    assert mark("ประเทศไทย", "ไทย") == "ประเทศ[ไทย]"


def test_a_phrase_is_one_span_with_its_stop_words() -> None:
    assert mark("The speed of light, of course", '"speed of light"') == "The [speed of light], of course"


def test_nothing_wanted_marks_nothing() -> None:
    analyzer = get_analyzer("english")
    assert find_matches("some text", [], analyzer, [()]) == []
    assert find_matches("", ["text"], analyzer) == []


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(alphabet="ab é日本ก็ﬁ-\u00ad\u0301 ", max_size=40),
    query=st.text(alphabet='ab é日本ก็ﬁ-"', max_size=20),
)
def test_spans_are_in_order_and_apart(text: str, query: str) -> None:
    analyzer = get_analyzer("simple")
    parsed = parse_query(query, analyzer)
    spans = find_matches(text, parsed.terms, analyzer, parsed.phrases)
    flat = [place for span in spans for place in span]
    assert flat == sorted(set(flat))
    assert all(0 <= start < end <= len(text) for start, end in spans)
