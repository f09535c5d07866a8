import httpx
import msgspec

from ragstore.client import Client

ANSWER = {"state": "filling", "model_from": "local", "model_to": "other", "progress": 0.5}


def test_each_call_has_its_address() -> None:
    asked: list[tuple[str, str, bytes]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content))
        return httpx.Response(202, json=ANSWER)

    with Client("http://service.test", "key", transport=httpx.MockTransport(handle)) as client:
        answers = [
            client.start_reembedding("docs", "other", switch="manual", keep_old=False, queries=["why?"]),
            client.read_reembedding("docs"),
            client.switch_model("docs"),
            client.roll_back_model("docs"),
            client.finish_reembedding("docs"),
            client.give_up_reembedding("docs"),
        ]
    address = "/v1/collections/docs/reembed"
    body = {"model": "other", "switch": "manual", "keep_old": False, "queries": ["why?"]}
    assert msgspec.json.decode(asked[0][2]) == body
    assert [call[:2] for call in asked] == [
        ("POST", address),
        ("GET", address),
        ("POST", f"{address}/switch"),
        ("POST", f"{address}/rollback"),
        ("POST", f"{address}/finish"),
        ("DELETE", address),
    ]
    assert all((one.state, one.model_to, one.progress) == ("filling", "other", 0.5) for one in answers)
