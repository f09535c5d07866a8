import httpx
import msgspec

from ragstore.client import Client

ANSWER = {
    "mode": "on",
    "state": "building",
    "threshold": 50000,
    "chunks": 60000,
    "name": "ix_embedding_hnsw_0",
    "bytes": 0,
    "progress": {"phase": "building index: loading tuples", "done": 7, "total": 60000},
    "job_id": "00000000-0000-0000-0000-000000000001",
}


def test_the_index_is_read_and_its_mode_set() -> None:
    asked: list[tuple[str, str, bytes]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content))
        return httpx.Response(200, json=ANSWER)

    with Client("http://service.test", "key", transport=httpx.MockTransport(handle)) as client:
        read, changed = client.read_index("docs"), client.set_index("docs", "on")
    assert asked == [
        ("GET", "/v1/collections/docs/index", b""),
        ("PUT", "/v1/collections/docs/index", b'{"mode":"on"}'),
    ]
    assert msgspec.to_builtins(read) == msgspec.to_builtins(changed) == ANSWER
