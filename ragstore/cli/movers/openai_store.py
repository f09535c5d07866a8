"""OpenAI's vector stores: texts and attributes of their files. Vectors are not given away."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

from ragstore.cli.movers.source import Description, Document, Vector
from ragstore.embedding.client import OPENAI_URL
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings

MOST_RESULTS = 50  # of one of its searches
FILES_A_PAGE = 100


class OpenAIStore:
    """A file is a document: its id the key, its name the title and source, its attributes the metadata."""

    passage_field: str | None = None

    def __init__(self, client: openai.OpenAI, store_id: str) -> None:
        self.client = client
        self.store_id = store_id
        self.remarks: Counter[str] = Counter()

    def describe(self) -> Description:
        return Description("openai", self.store_id, self.count(), None)

    def count(self) -> int:
        with telling():
            return self.client.vector_stores.retrieve(self.store_id).file_counts.completed

    def documents(self) -> Iterator[Document]:
        with telling():
            for file in self.client.vector_stores.files.list(self.store_id, limit=FILES_A_PAGE, order="asc"):
                if file.status == "completed":
                    yield self.read_file(file.id, dict(file.attributes or {}))
                else:
                    self.remarks[f"files that are {file.status}: left out"] += 1

    def read_file(self, file_id: str, attributes: dict[str, Any]) -> Document:
        document: Document = {"key": file_id, "content": "\n\n".join(self.read_parts(file_id)), "metadata": attributes}
        try:
            name = self.client.files.retrieve(file_id).filename
        except openai.NotFoundError:
            return document  # deleted among the files, still in the store
        return document | {"title": name, "source": name}

    def read_parts(self, file_id: str) -> Iterator[str]:
        """The client knows one page only; the answer may name a next one."""
        asked: set[str | None] = {None}
        following: str | None = None
        while True:
            query = {} if following is None else {"page": following}
            page = self.client.vector_stores.files.content(file_id, vector_store_id=self.store_id, extra_query=query)
            yield from (part.text for part in page.data if part.text)
            more: dict[str, Any] = page.model_extra or {}
            following = more.get("next_page") if more.get("has_more") else None
            if following in asked:
                return
            asked.add(following)

    def search(self, asked: Vector | str, top_k: int) -> list[str]:
        if not isinstance(asked, str):
            raise ConfigurationError("openai's stores are asked by text only.")
        with telling():
            found = self.client.vector_stores.search(
                self.store_id, query=asked, max_num_results=min(MOST_RESULTS, 5 * top_k), rewrite_query=False
            )
            return list(dict.fromkeys(one.file_id for one in found.data))[:top_k]

    def close(self) -> None:
        self.client.close()


@contextmanager
def telling() -> Iterator[None]:
    """Makes one line of what the provider answers."""
    try:
        yield
    except openai.APIStatusError as error:
        raise ConfigurationError(f"The vector store cannot be read: {error.status_code} {error.message}") from None
    except openai.APIError as error:
        raise ConfigurationError(f"The vector store cannot be read: {error.message}") from None


def open_openai(settings: Settings, store_id: str, *, transport: httpx2.BaseTransport | None = None) -> OpenAIStore:
    """With the address and the key that embeddings are made with."""
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise ConfigurationError("To read a vector store of OpenAI set OPENAI_API_KEY.")
    client = openai.OpenAI(
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "unused",
        base_url=settings.openai_base_url or OPENAI_URL,
        http_client=None if transport is None else openai.DefaultHttpxClient(transport=transport),
    )
    return OpenAIStore(client, store_id)
