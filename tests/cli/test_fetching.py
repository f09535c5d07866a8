from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import pytest

from ragstore.cli.fetching import Fetcher, NotFetched, fetch_all, is_public
from ragstore.cli.items import Item
from ragstore.ingestion.schemas import DocumentUpsert

PUBLIC = "93.184.215.14"
ADDRESSES = {"site.test": [PUBLIC], "v6.test": ["2606:2800:21f:cb07::1"], "inside.test": ["10.0.0.7"]}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    content: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Web:
    """Answers by path, and keeps what was asked of whom."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers[request.url.path.strip("/").partition(".")[0]]
        return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(answer.content.encode()))

    def resolve(self, host: str, port: int) -> list[str]:
        return ADDRESSES.get(host, [host])

    def fetch(self, *urls: str, allow_private: bool = False) -> list[Item]:
        transport = httpx.MockTransport(self)
        fetcher = Fetcher(allow_private=allow_private, transport=transport, resolve=self.resolve)
        items = list(fetch_all(urls, fetcher))
        fetcher.close()
        return items


def text(content: str, kind: str = "text/plain") -> Answer:
    return Answer(200, content, {"content-type": f"{kind}; charset=utf-8"})


def redirect(location: str) -> Answer:
    return Answer(302, headers={"location": location})


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
def test_addresses_of_private_networks(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_web(address: str) -> None:
    assert is_public(address)


def test_plain_text_is_a_document_and_all_else_a_file() -> None:
    web = Web(notes=text("# Notes\nx", "text/markdown"), page=text("<p>x", "text/html"))
    notes, page = web.fetch("https://site.test/notes?v=1#part", "http://v6.test:8080/page.html")
    assert isinstance(notes.document, DocumentUpsert)
    assert (notes.document.key, notes.document.url, notes.document.title) == (
        "https://site.test/notes?v=1#part", "https://site.test/notes?v=1#part", "Notes",
    )  # fmt: skip
    assert page.upload is not None
    assert (page.upload.name, page.upload.file, page.upload.url) == (
        "page.html",
        b"<p>x",
        "http://v6.test:8080/page.html",
    )
    first, second = web.asked
    assert (first.url.host, first.headers["host"], first.extensions["sni_hostname"]) == (
        PUBLIC,
        "site.test",
        "site.test",
    )
    assert (second.url.host, second.url.port, second.headers["host"]) == ("2606:2800:21f:cb07::1", 8080, "v6.test:8080")
    assert first.headers["user-agent"].startswith("ragstore/")


@pytest.mark.parametrize(
    "url", ["http://inside.test/notes", "http://127.0.0.1/notes", "http://[::ffff:127.0.0.1]/notes"]
)
def test_private_addresses_are_asked_only_when_it_is_allowed(url: str) -> None:
    web = Web(notes=text("x"))
    (refused,) = web.fetch(url)
    assert refused.fault is not None
    assert "--allow-private" in refused.fault
    assert web.asked == []
    (read,) = web.fetch(url, allow_private=True)
    assert read.document is not None


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADDRESSES, "both.test", [PUBLIC, "::1"])
    web = Web(notes=text("x"))
    (refused,) = web.fetch("http://both.test/notes")
    assert (refused.document, web.asked) == (None, [])


def test_redirects_are_followed_where_they_may_lead() -> None:
    web = Web(
        old=redirect("/notes"), away=redirect("http://inside.test/notes"), file=redirect("file:///etc/passwd"),
        ring=redirect("/ring"), notes=text("x"),
    )  # fmt: skip
    old, away, file, ring = web.fetch(*(f"http://site.test/{name}" for name in ("old", "away", "file", "ring")))
    assert isinstance(old.document, DocumentUpsert)
    assert (old.document.key, old.document.content) == ("http://site.test/old", "x")
    assert str(away.fault).startswith("inside.test, at 10.0.0.7, is in a private network")
    assert "neither http nor https" in str(file.fault)
    assert "redirected more than 5 times" in str(ring.fault)
    assert {request.url.host for request in web.asked} == {PUBLIC}


def test_what_is_too_large_or_wrong_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragstore.cli.fetching.MOST_BYTES", 1_000_000)
    web = Web(
        large=text("x" * 1_000_001), gone=Answer(404), empty=text(" "),
        packed=Answer(200, "x", {"content-encoding": "br"}),
    )  # fmt: skip
    items = web.fetch(*(f"http://site.test/{name}" for name in ("large", "gone", "packed", "empty")))
    assert [one.fault for one in items] == [
        "has more than 1 MB", "answers 404 Not Found", "answers in an encoding that was not accepted", "is empty",
    ]  # fmt: skip
    (refused,) = web.fetch("http://user:word@site.test/large")
    assert "user name" in str(refused.fault)


def test_a_slow_one_and_a_broken_one_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragstore.cli.fetching.DEADLINE_SECONDS", -1)
    (slow,) = Web(notes=text("x")).fetch("http://site.test/notes")
    assert "was not read in" in str(slow.fault)

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    fetcher = Fetcher(transport=httpx.MockTransport(refuse), resolve=lambda host, port: [PUBLIC])
    with pytest.raises(NotFetched, match="did not answer: refused"):
        fetcher.fetch("http://site.test/")
    fetcher.close()
