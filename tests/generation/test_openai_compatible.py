from typing import Any

import pytest

from ragstore.errors import ProviderFailed, ProviderRefused, ProviderUnavailable, RagstoreError
from ragstore.generation.model import ChatModel, Completion
from ragstore.generation.openai_compatible import make_chat_model
from ragstore.settings import Settings
from tests.fake_chat import FakeChat
from tests.fake_openai import Fault

QUESTION = [{"role": "user", "content": "Why?"}]


def make_model(fake: FakeChat, **values: Any) -> ChatModel:
    given = {"chat_model": "m", "chat_base_url": "http://model/v1", "chat_retries": 0} | values
    model = make_chat_model(Settings.model_validate(given), transport=fake.transport())
    assert model is not None
    return model


async def stream(model: ChatModel) -> Completion:
    completion = Completion(model.name)
    async with model.stream(QUESTION, completion, max_tokens=20) as pieces:
        seen = [piece async for piece in pieces]
    assert seen == completion.parts
    return completion


def test_without_a_model_named_there_is_none() -> None:
    assert make_chat_model(Settings()) is None


async def test_an_answer_comes_in_pieces_with_what_it_cost() -> None:
    fake = FakeChat(lambda messages: "Because it is so.")
    completion = await stream(make_model(fake))
    assert completion.parts == ["Because", " it", " is", " so."]
    assert (completion.text, completion.finish) == ("Because it is so.", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens) == (7, 3)
    assert fake.calls[0]["messages"] == QUESTION
    assert fake.calls[0]["model"] == "m"


async def test_a_whole_answer_is_the_same() -> None:
    fake = FakeChat(lambda messages: "Because it is so.")
    completion = await make_model(fake).complete(QUESTION, max_tokens=20)
    assert (completion.text, completion.completion_tokens) == ("Because it is so.", 3)


@pytest.mark.parametrize("unknown", [(), ("stream_options",), ("max_completion_tokens",), ("max_tokens",)])
async def test_servers_of_every_age_are_spoken_to(unknown: tuple[str, ...]) -> None:
    fake = FakeChat(unknown=unknown)
    model = make_model(fake)
    for _ in range(2):
        assert (await stream(model)).text == "Yes."
    assert not set(unknown) & fake.calls[-1].keys()
    assert len(fake.calls) <= 3, "what is refused is found out once"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(status=401), ProviderRefused, "refused the API key"),
        (Fault(status=429, headers={"retry-after": "7"}), ProviderUnavailable, "limiting requests"),
        (Fault(status=503), ProviderUnavailable, "not available"),
        (Fault(status=400, body=b'{"error": {"message": "too long"}}'), ProviderRefused, "too long"),
        (Fault(status=404), ProviderRefused, "cannot serve the model"),
        (Fault(body=b'{"choices": [], "object": "chat.completion"}'), ProviderFailed, "without text"),
        (Fault(body=b"<html>"), RagstoreError, "answer"),
    ],
)
async def test_what_goes_wrong_is_named(fault: Fault, kind: type[RagstoreError], words: str) -> None:
    fake = FakeChat()
    fake.faults.append(fault)
    with pytest.raises(kind, match=words) as raised:
        await make_model(fake).complete(QUESTION, max_tokens=20)
    assert fault.status != 429 or raised.value.retry_after == 7
