"""The search page as it is served. It needs no database: the page itself asks nothing of the service but its files."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ragstore.entrypoints import console
from ragstore.problems import render_problem

PAGES = sorted(console.PAGES.iterdir())
SCRIPTS = [path for path in PAGES if path.suffix == ".js"]
STYLES = [path for path in PAGES if path.suffix == ".css"]
ADDRESSES = ["/", *(f"/console/{path.name}" for path in PAGES if path.name != "index.html")]


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    handlers: dict[Any, Any] = {Exception: render_problem}
    app = Litestar([console.router], exception_handlers=handlers, openapi_config=None, logging_config=None)
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def elements() -> list[tuple[str, dict[str, str | None]]]:
    return Elements((console.PAGES / "index.html").read_text("utf-8")).found


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_file_forbids_everything_from_elsewhere(client: TestClient[Litestar], address: str) -> None:
    headers = client.get(address).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("address", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/console/page.js", "text/javascript; charset=utf-8"),
        ("/console/page.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ],
)
def test_types_do_not_depend_on_the_machine(client: TestClient[Litestar], address: str, content_type: str) -> None:
    assert client.get(address).headers["content-type"] == content_type


@pytest.mark.parametrize("address", ADDRESSES)
def test_unchanged_files_are_not_sent_again(client: TestClient[Litestar], address: str) -> None:
    first = client.get(address)
    assert first.headers["cache-control"] == "no-cache"
    for known in (first.headers["etag"], f"W/{first.headers['etag']}"):
        again = client.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get(address, headers={"If-None-Match": '"another"'}).content == first.content


@pytest.mark.parametrize("address", ADDRESSES)
def test_head_tells_the_length_and_sends_nothing(client: TestClient[Litestar], address: str) -> None:
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(client.get(address).content))


@pytest.mark.parametrize("name", ["none.js", "index.html", "..%2F__init__.py", "%2e%2e/__init__.py", "a/b.js", ""])
def test_only_the_files_of_the_page_are_served(client: TestClient[Litestar], name: str) -> None:
    assert client.get(f"/console/{name}").status_code == 404


def test_every_file_the_page_names_is_served(
    client: TestClient[Litestar], elements: list[tuple[str, dict[str, str | None]]]
) -> None:
    named = {value for _, attrs in elements for key, value in attrs.items() if key in ("src", "href")} - {"schema"}
    assert named == {"console/icon.svg", "console/page.css", "console/page.js"}
    for name in named:
        assert client.get(f"/{name}").status_code == 200


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_module_a_script_imports_is_served(client: TestClient[Litestar], path: Any) -> None:
    for name in re.findall(r"^import .* from (.+);$", path.read_text("utf-8"), re.MULTILINE):
        assert re.fullmatch(r'"\./[a-z]+\.js"', name)
        assert client.get(f"/console/{name[3:-1]}").status_code == 200


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_element_a_script_looks_for_is_there(
    elements: list[tuple[str, dict[str, str | None]]], path: Any
) -> None:
    ids = {attrs.get("id") for _, attrs in elements}
    assert set(re.findall(r'find\("([\w-]+)"\)', path.read_text("utf-8"))) <= ids


def test_nothing_is_inline(elements: list[tuple[str, dict[str, str | None]]]) -> None:
    for tag, attrs in elements:
        assert tag != "style"
        assert tag != "script" or attrs.get("src")
        assert not [key for key in attrs if key == "style" or key.startswith("on")]


def test_every_field_has_a_label(elements: list[tuple[str, dict[str, str | None]]]) -> None:
    fields = {a["id"] for tag, a in elements if tag in ("input", "select", "textarea") and a.get("type") != "checkbox"}
    assert fields
    assert fields <= {attrs.get("for") for tag, attrs in elements if tag == "label"}
    ids = {attrs.get("id") for _, attrs in elements}
    for _, attrs in elements:
        assert set((attrs.get("aria-describedby") or "").split()) <= ids


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_file_names_another_machine(path: Any) -> None:
    text = path.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|[\"'(]//|@import|@font-face|sourceMappingURL", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_reads_data_as_markup_or_code(path: Any) -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|createContextualFragment|DOMParser|srcdoc"
        r"|\beval\b|new Function|javascript:\S|import\("
    )
    code = re.sub(r"^\s*(//|/\*\*).*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
    assert not re.search(forbidden, code)
    assert not re.search(r"set(Timeout|Interval)\(\s*[\"'`]", code)


def test_styles_load_nothing() -> None:
    assert STYLES
    for path in STYLES:
        assert "url(" not in path.read_text("utf-8")


def test_only_the_key_module_knows_where_the_key_is_kept() -> None:
    users = {path.name for path in SCRIPTS if re.search(r"\b(session|local)Storage\b", path.read_text("utf-8"))}
    assert users == {"key.js"}
