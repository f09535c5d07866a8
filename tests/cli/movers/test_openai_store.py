"""The true openai client, against an API with the shapes it documents."""

from typing import Any

import httpx2
import pytest

from ragstore.cli.movers.fitting import to_question
from ragstore.cli.movers.openai_store import OpenAIStore, open_openai
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings

STORE = "vs_1"
TEXTS = {"file-1": ["First part.", "Second part."], "file-2": ["Another file."], "file-3": ["Not read yet."]}
STATUSES = {"file-1": "completed", "file-2": "completed", "file-3": "in_progress"}


class FakeStore:
    def __init__(self) -> None:
        self.searches: list[dict[str, Any]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer sk-key"
        path = request.url.path.removeprefix("/v1/")
        if path == f"vector_stores/{STORE}":
            return httpx2.Response(200, json=self.describe())
        if path == f"vector_stores/{STORE}/files":
            return httpx2.Response(200, json=self.list_files(request.url.params.get("after")))
        if path == f"vector_stores/{STORE}/search":
            self.searches.append(httpx2.Response(200, content=request.content).json())
            return httpx2.Response(200, json=self.search())
        if path.endswith("/content"):
            return httpx2.Response(200, json=self.read(path.split("/")[3], request.url.params.get("page")))
        if path == "files/file-1":
            file = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "guide.pdf"}
            return httpx2.Response(200, json=file | {"purpose": "assistants", "status": "processed"})
        return httpx2.Response(404, json={"error": {"message": "No such thing", "type": "invalid_request_error"}})

    def describe(self) -> dict[str, Any]:
        counts = {"in_progress": 1, "completed": 2, "failed": 0, "cancelled": 0, "total": 3}
        told = {"id": STORE, "object": "vector_store", "created_at": 1, "last_active_at": 1, "metadata": {}}
        return told | {"name": "docs", "usage_bytes": 1, "status": "completed", "file_counts": counts}

    def list_files(self, after: str | None) -> dict[str, Any]:
        """One a page."""
        names = list(TEXTS)
        place = 0 if after is None else names.index(after) + 1
        data = [
            {"id": name, "object": "vector_store.file", "created_at": 1, "usage_bytes": 1, "vector_store_id": STORE,
             "status": STATUSES[name], "last_error": None, "attributes": {"year": 2024.0}}
            for name in names[place : place + 1]
        ]  # fmt: skip
        ends = {"first_id": names[place], "last_id": names[place], "has_more": place + 1 < len(names)}
        return {"object": "list", "data": data} | ends

    def read(self, file_id: str, page: str | None) -> dict[str, Any]:
        place = int(page or 0)
        more = place + 1 < len(TEXTS[file_id])
        following = {"has_more": more, "next_page": str(place + 1) if more else None}
        data = [{"type": "text", "text": TEXTS[file_id][place]}]
        return {"object": "vector_store.file_content.page", "data": data} | following

    def search(self) -> dict[str, Any]:
        data: list[dict[str, Any]] = [
            {
                "file_id": name,
                "filename": "x",
                "score": 0.5,
                "attributes": {},
                "content": [{"type": "text", "text": "x"}],
            }
            for name in ("file-2", "file-2", "file-1")
        ]
        return {"object": "vector_store.search_results.page", "search_query": ["x"], "data": data, "has_more": False}


@pytest.fixture
def fake() -> FakeStore:
    return FakeStore()


def open_fake(fake: FakeStore, name: str = STORE) -> OpenAIStore:
    settings = Settings.model_validate({"OPENAI_API_KEY": "sk-key", "OPENAI_BASE_URL": "http://provider.test/v1"})
    return open_openai(settings, name, transport=httpx2.MockTransport(fake))


def test_files_become_documents(fake: FakeStore) -> None:
    source = open_fake(fake)
    described = source.describe()
    assert (described.passages, described.dimensions, described.vectors_fit) == (2, None, False)
    one, two = source.documents()
    assert one == {
        "key": "file-1",
        "content": "First part.\n\nSecond part.",
        "metadata": {"year": 2024.0},
        "title": "guide.pdf",
        "source": "guide.pdf",
    }
    assert two == {"key": "file-2", "content": "Another file.", "metadata": {"year": 2024.0}}
    assert source.remarks == {"files that are in_progress: left out": 1}
    source.close()


def test_it_is_asked_by_text_and_answers_files_once(fake: FakeStore) -> None:
    source = open_fake(fake)
    assert source.search("what?", 10) == ["file-2", "file-1"]
    assert fake.searches == [{"query": "what?", "max_num_results": 50, "rewrite_query": False}]
    source.close()


def test_what_it_refuses_is_one_line(fake: FakeStore) -> None:
    source = open_fake(fake, "vs_other")
    with pytest.raises(ConfigurationError, match=r"404 .*No such thing"):
        source.describe()
    with pytest.raises(ConfigurationError, match="404"):
        list(source.documents())
    source.close()
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        open_openai(Settings(), STORE)


def test_a_question_is_a_beginning_in_whole_words() -> None:
    assert to_question(" a\n b ") == "a b"
    long = to_question("word " * 100)
    assert long.endswith(" word")
    assert len(long) <= 300
