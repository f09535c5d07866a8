"""The search page as a person uses it: a real Chromium, a real service."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

import pytest

from ragstore.collection.schemas import ChunkingUpdate, CollectionCreate
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.testing import FreshStore, RagstoreServer, run_server
from tests.entrypoints.chromium import Browser, find_chromium, run_chromium
from tests.fake_reranker import FakeReranker, Fault

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

ADDRESS = "https://example.org/" + "snakes" * 30
SNAKES = "🐍🐍 𝔘nder a stone a snake sleeps. Snakes shed their skin."
CATS = ["Cats sleep most of the day.", "Cats hunt mice at night.", "Cats purr when they are stroked."]

CONTRAST = """(node) => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => numbers(color).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const isClear = (one) => numbers(getComputedStyle(one).backgroundColor)[3] === 0;
  let behind = node;
  while (isClear(behind)) behind = behind.parentElement;
  const two = [light(getComputedStyle(node).color), light(getComputedStyle(behind).backgroundColor)];
  return (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[RagstoreServer]:
    with run_server({"RAGSTORE_LOG_LEVEL": "error"}) as server:
        yield server


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with run_chromium(CHROMIUM, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def store(server: RagstoreServer) -> Iterator[FreshStore]:
    with server.fresh_store() as store:
        yield store


@pytest.fixture
def animals(store: FreshStore) -> FreshStore:
    """Two collections with something in them, and an empty one."""
    client = store.client
    for name in ("cats", "snakes", "none"):
        client.ensure_collection(name)
    cats = [DocumentUpsert(key=f"cat-{n}", content=text, metadata={"n": n}) for n, text in enumerate(CATS)]
    client.upsert_documents("cats", cats)
    snake = DocumentUpsert(
        key="snake", title="Snakes", content=SNAKES, source="zoo", url=ADDRESS, metadata={"w" * 90: "v" * 200}
    )
    client.upsert_documents("snakes", [snake])
    return store


@pytest.fixture
def page(chromium: Browser, animals: FreshStore) -> Iterator[Browser]:
    """The page of the animals, opened with the key of their store."""
    chromium.complaints.clear()
    chromium.show_as(1100)
    sign_in(chromium, animals)
    yield chromium
    assert chromium.complaints == []


def sign_in(browser: Browser, store: FreshStore, key: str | None = None) -> None:
    browser.visit(store.url)
    browser.run(f"sessionStorage.setItem('ragstore.key', {json.dumps(key or store.api_key)})")


def ask(browser: Browser, store: FreshStore, **asked: object) -> None:
    browser.visit(f"{store.url}/#{urlencode(asked, doseq=True)}")
    wait_for_answer(browser)


def wait_for_answer(browser: Browser) -> None:
    browser.wait_for(
        "document.getElementById('results')?.getAttribute('aria-busy') === 'false'"
        " && (document.querySelector('#results > *') || document.querySelector('.error:not(:empty)'))"
    )


def read(browser: Browser, selector: str) -> list[str]:
    """What each element says."""
    found: list[str] = browser.run(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText.trim())"
    )
    return found


def click(browser: Browser, selector: str) -> None:
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")


def record_requests(browser: Browser) -> None:
    browser.run(
        "window.asked = []; const send = window.fetch;"
        "window.fetch = (path, how) => { window.asked.push([path, how.body ?? null]); return send(path, how); }; 0"
    )


def read_requests(browser: Browser) -> list[tuple[str, dict[str, object]]]:
    sent = browser.run("window.asked")
    return [(path, json.loads(body)) for path, body in sent if body is not None]


def test_a_person_signs_in_types_and_finds(chromium: Browser, animals: FreshStore) -> None:
    chromium.visit(animals.url)
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    chromium.visit(animals.url)
    chromium.wait_for("document.activeElement.id === 'key'")
    chromium.type_text("wrong")
    chromium.press("Enter")
    chromium.wait_for("document.getElementById('key-error').textContent !== ''")
    chromium.run("document.getElementById('key').value = ''")
    chromium.type_text(animals.api_key)
    chromium.press("Enter")
    chromium.wait_for("document.activeElement.id === 'query'")
    chromium.type_text("who sheds a skin?")
    chromium.press("Enter")
    chromium.wait_for("document.querySelector('.hit')")
    assert read(chromium, ".hit h3")[0] == "Snakes"
    assert animals.api_key not in chromium.run("location.href + document.documentElement.outerHTML")


def test_all_collections_are_one_list_and_one_is_asked_by_its_own_route(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="sleep")
    assert read(page, "#collections-said") == ["All 3 collections"]
    assert set(page.run("[...document.querySelectorAll('.tag')].map((one) => one.lastChild.data)")) == {
        "cats",
        "snakes",
    }
    record_requests(page)
    click(page, "#collections")
    click(page, "#collections-list input[value=cats]")
    page.press("Escape")
    page.wait_for("document.querySelectorAll('.hit').length === 3 && !document.querySelector('.tag')")
    [(path, body)] = read_requests(page)
    assert path == "v1/collections/cats/search"
    assert "collections" not in body
    assert "collection=cats" in page.run("location.hash")
    click(page, "#collections")
    click(page, "#collections-list input[value=snakes]")
    page.press("Escape")
    page.wait_for("document.querySelectorAll('.hit').length === 4")
    path, body = read_requests(page)[-1]
    assert (path, body["collections"]) == ("v1/search", ["cats", "snakes"])


def test_marks_stand_on_the_words_though_emoji_are_two_units(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="snake", mode="text")
    assert read(page, ".passage") == [SNAKES]
    assert read(page, ".passage mark") == ["snake", "Snakes"]


@pytest.mark.parametrize(
    ("mode", "parts"), [("hybrid", ["vector", "text"]), ("text", []), ("vector", [])], ids=lambda value: str(value)
)
def test_each_mode_shows_the_parts_of_its_score(
    page: Browser, animals: FreshStore, mode: str, parts: list[str]
) -> None:
    ask(page, animals, query="snake")
    record_requests(page)
    click(page, "#mode-vector" if mode != "vector" else "#mode-text")
    click(page, f"#mode-{mode}")
    page.wait_for("document.getElementById('results').getAttribute('aria-busy') === 'false'")
    assert read_requests(page)[-1][1]["mode"] == mode
    assert float(read(page, ".hit .score")[0].split()[-1]) > 0
    said = page.run("document.querySelector('.hit .parts')?.innerText ?? ''")
    assert re.findall(r"vector|text|rerank", said) == parts


def test_every_option_is_sent_and_stands_in_the_address(page: Browser, animals: FreshStore) -> None:
    options = {
        "filter": '{"n": {"$gte": 9007199254740993}}', "top_k": "2", "min_score": "-0.5", "per_group": "2",
        "diversity": "0.3", "neighbors": "1", "vector_weight": "0.7", "exact": "1", "explain": "1",
    }  # fmt: skip
    ask(page, animals, query="cats", collection="cats", **options)
    record_requests(page)
    click(page, "#search-form [type=submit]")
    wait_for_answer(page)
    _, body = read_requests(page)[0]
    assert body == {
        "query": "cats", "mode": "hybrid", "top_k": 2, "include": ["content", "metadata", "scores"],
        "highlight": True, "paging": True, "min_score": -0.5, "diversity": 0.3, "neighbors": 1,
        "group_by": "document", "per_group": 2, "fusion": {"method": "convex", "vector_weight": 0.7},
        "exact": True, "explain": True, "filter": {"n": {"$gte": 9007199254740993}},
    }  # fmt: skip
    address = page.run("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert address == options | {"query": "cats", "collection": "cats"}
    assert (read(page, "#options-count"), read(page, "#filter-count")) == (["8"], ["1"])
    click(page, "#reset")
    page.wait_for("!location.hash.includes('diversity')")
    assert read(page, "#options-count") == [""]


def test_a_wrong_filter_is_told_at_the_filter(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", filter='{"n": {"$near": 1}}')
    assert read(page, "#filter-error")[0].startswith("filter.n.$near: is not an operator")
    assert page.run("document.activeElement.id") == "filter"
    ask(page, animals, query="cats", filter="{n: 1}")
    assert read(page, "#filter-error")[0].startswith("This is not JSON")


def test_what_the_service_refuses_is_told_at_its_option(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", rerank="1")
    assert "reranker" in read(page, "#rerank-error")[0]
    assert page.run("!document.getElementById('options-panel').hidden && document.activeElement.id") == "rerank"
    ask(page, animals, query="cats", diversity="2")
    assert read(page, "#diversity-error") == ["A number from 0 to 1."]


def test_more_goes_on_where_the_page_ended(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", top_k=2, collection=["cats", "snakes"])
    first = read(page, ".hit cite")
    click(page, ".more")
    page.wait_for("document.querySelectorAll('.hit').length === 4")
    assert read(page, ".hit cite")[:2] == first
    assert set(read(page, ".hit cite")) == {"cat-0", "cat-1", "cat-2", "snake"}
    assert page.run("document.activeElement.getAttribute('aria-labelledby')") == "hit-3"
    assert read(page, ".more") == []


class RerankHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = FakeReranker("tei").answer(asked, Fault())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def reranking_store() -> Iterator[FreshStore]:
    """Of a service with a reranker that counts the words a text shares with the query."""
    with ThreadingHTTPServer(("127.0.0.1", 0), RerankHandler) as reranker:
        Thread(target=reranker.serve_forever, daemon=True).start()
        settings = {
            "RAGSTORE_RERANK_URL": f"http://127.0.0.1:{reranker.server_port}/rerank",
            "RAGSTORE_RERANK_STYLE": "tei",
        }
        with run_server(settings) as server, server.fresh_store() as store:
            yield store
        reranker.shutdown()


def test_a_reranked_list_is_one_page_in_the_order_of_its_scores(chromium: Browser, reranking_store: FreshStore) -> None:
    chromium.show_as(1100)
    reranking_store.client.ensure_collection("cats")
    documents = [DocumentUpsert(key=f"cat-{n}", content=text) for n, text in enumerate(CATS)]
    reranking_store.client.upsert_documents("cats", documents)
    sign_in(chromium, reranking_store)
    ask(chromium, reranking_store, query="Cats that are very sleepy when they hunt mice", top_k=2, rerank=1)
    assert read(chromium, ".hit cite") == ["cat-2", "cat-1"]
    assert [re.findall(r"rerank\s([\d.]+)", parts) for parts in read(chromium, ".parts")] == [["4.000"], ["3.000"]]
    assert "2 passages, reranked" in read(chromium, "#status")[0]
    assert read(chromium, ".more") == []


def test_more_like_a_hit_and_back(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats hunt mice")
    assert read(page, ".hit cite")[0] == "cat-1"
    click(page, ".hit .doings button:last-child")
    page.wait_for("!document.getElementById('like').hidden && document.querySelectorAll('.hit').length === 2")
    assert set(read(page, ".hit cite")) == {"cat-0", "cat-2"}
    assert read(page, "#like-title") == ["cat-1, passage 0"]
    shared = page.run("location.href")
    page.run("history.back()")
    page.wait_for("document.getElementById('query').value === 'cats hunt mice' && document.querySelector('.hit')")
    page.wait_for("document.querySelector('.hit cite').innerText === 'cat-1'")
    page.visit(shared)
    wait_for_answer(page)
    assert set(read(page, ".hit cite")) == {"cat-0", "cat-2"}


def test_neighbours_stand_around_the_hit_without_what_they_share(page: Browser, animals: FreshStore) -> None:
    names = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu")
    sentences = [f"The {name} lives in its own house." for name in names]
    sentences[3] = "A submarine dives below the icy ocean."
    text = " ".join(sentences)
    animals.client.create_collection(CollectionCreate("long", chunking=ChunkingUpdate(24, 12)))
    animals.client.upsert_documents("long", [DocumentUpsert(key="long", content=text)])
    ask(page, animals, query="submarine", collection="long", neighbors=1, top_k=1, mode="text")
    parts: list[str] = page.run("[...document.querySelector('.text').children].map((one) => one.textContent.trim())")
    before, passage, after = parts
    assert "submarine" in passage
    assert len(before) > 20 < len(after)
    assert " ".join(parts) in text


def test_timings_and_plans_are_told_in_words(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", explain=1, filter='{"n": {"$gte": 1}}', collection=["cats", "none"])
    assert read(page, ".explanation h4") == ["cats 3 passages", "none 0 passages"]
    said = " ".join(read(page, ".plans li"))
    assert "Filter: 2 documents match." in said
    assert "Nothing to search." in said
    rows = dict(zip(read(page, "tbody th"), map(float, read(page, "tbody td:last-child")), strict=True))
    assert "Finding candidates" in rows
    total = float(read(page, "tfoot td:last-child")[0])
    assert sum(rows.values()) == pytest.approx(total, abs=0.05 * len(rows) + 0.5)


def test_warnings_of_the_service_are_shown(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats")
    page.run(
        "window.fetch = async () => new Response(JSON.stringify({hits: [], warnings: ['Not <b>reranked</b>.']})); 0"
    )
    click(page, "#search-form [type=submit]")
    page.wait_for("document.querySelector('.warning')")
    assert read(page, ".warning p") == ["Not <b>reranked</b>."]


def test_nothing_found_and_nothing_there_are_two_sentences(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", filter='{"n": 7}')
    assert read(page, ".notice p") == ["No passage matches. Try a looser filter or other words."]
    ask(page, animals, query="cats", collection="none")
    assert read(page, ".notice h2") == ["Nothing in “none” yet"]
    page.visit(f"{animals.url}/#query=cats&collection=gone")
    page.wait_for("document.getElementById('collections-error').textContent")
    assert read(page, "#collections-error") == ["No collection is called gone."]


def test_a_service_that_is_down_is_a_sentence_and_can_be_asked_again(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats")
    page.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError('down')); 0")
    click(page, "#search-form [type=submit]")
    page.wait_for("document.querySelector('.fault')")
    assert read(page, ".fault h2") == ["The service does not answer."]
    page.run("window.fetch = window.kept; 0")
    click(page, ".fault button")
    page.wait_for("document.querySelector('.hit')")
    assert read(page, ".fault") == []


def test_a_key_that_is_no_longer_good_is_asked_for_again(page: Browser, animals: FreshStore) -> None:
    sign_in(page, animals, key="rs_gone")
    page.visit(animals.url)
    page.wait_for("document.getElementById('key-error').textContent !== ''")
    assert page.run("sessionStorage.length + localStorage.length") == 0


def test_a_new_service_says_how_to_begin(chromium: Browser, store: FreshStore) -> None:
    sign_in(chromium, store)
    chromium.visit(store.url)
    chromium.wait_for("document.querySelector('.notice pre')")
    assert read(chromium, ".notice h2") == ["No collections yet"]


def test_keys_move_between_the_query_and_the_hits(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", collection="cats")
    page.run("document.activeElement.blur()")
    for key, place in (("j", "hit-1"), ("j", "hit-2"), ("k", "hit-1")):
        page.press(key)
        assert page.run("document.activeElement.getAttribute('aria-labelledby')") == place
    page.press("/")
    assert page.run("document.activeElement.id") == "query"
    page.press("j")
    assert page.run("document.getElementById('query').value") == "j"


def test_a_citation_is_copied_whole(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="snake", collection="snakes")
    page.run(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => (window.copied = text)}}); 0"
    )
    click(page, ".hit .doings button")
    page.wait_for("window.copied")
    assert page.run("window.copied") == f"snake, passage 0, characters 0–{len(SNAKES)}"
    assert page.run("document.querySelector('.origin a').href") == ADDRESS


@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(
    page: Browser, animals: FreshStore, width: int, scheme: str
) -> None:
    page.show_as(width, scheme=scheme)
    ask(page, animals, query="sleeping snakes", explain=1, neighbors=1)
    for panel in ("filter", "options"):
        click(page, f"#{panel}-button")
    page.run("for (const one of document.querySelectorAll('.hit details')) one.open = true")
    assert page.run("document.documentElement.scrollWidth") <= width
    for selector in (".passage", ".hit .rank", ".citation", ".parts", ".hit .plain", "mark", "[for=mode-text]"):
        assert measure_contrast(page, selector) >= 4.5, selector


def measure_contrast(browser: Browser, selector: str) -> float:
    """Of a text to what is behind it, as WCAG counts."""
    ratio: float = browser.run(f"({CONTRAST})(document.querySelector({json.dumps(selector)}))")
    return ratio


def test_everything_one_can_use_has_a_name(page: Browser, animals: FreshStore) -> None:
    ask(page, animals, query="cats", explain=1)
    for panel in ("filter", "options", "collections"):
        click(page, f"#{panel}-button" if panel != "collections" else "#collections")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {
        "button",
        "textbox",
        "searchbox",
        "checkbox",
        "radio",
        "spinbutton",
        "combobox",
        "link",
        "DisclosureTriangle",
    }
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert len(used) > 20
    assert [node for node in used if not node["name"]["value"].strip()] == []
