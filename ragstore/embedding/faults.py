"""What a failed call to the provider means here: refused for good or its fault (502), or not available now (503)."""

from collections.abc import Mapping

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, OpenAIError

from ragstore.embedding.client import read_retry_after
from ragstore.errors import ProviderFailed, ProviderRefused, ProviderUnavailable, RagstoreError

DEFAULT_RETRY_AFTER = 5.0
MESSAGE_CHARACTERS = 300

REFUSES_KEY = {401, 403}
REFUSES_INPUT = {400, 413, 422}
IS_BUSY = {408, 409, 425, 429}


class TextsRefused(ProviderRefused):
    # the title of its type, which it shares
    __doc__ = ProviderRefused.__doc__

    def __init__(self, detail: str, *, first: int, count: int, reason: str) -> None:
        """`count` texts from position `first` of the list given to `embed_documents` were in the refused call; `reason`
        is what the provider said, whichever text it was.
        """
        super().__init__(detail)
        self.reason = reason
        self.first = first
        self.count = count
        self.calls = [slice(first, first + count)]  # every call that was refused, this one first


def translate_error(error: OpenAIError, client: AsyncOpenAI, model: str, first: int, count: int) -> RagstoreError:
    """The error a call about texts `first` to `first + count - 1` ends with. Its text never holds the key."""
    host = client.base_url.host
    if isinstance(error, APIStatusError):
        return translate_status(error, host, model, describe(error, client.api_key), first, count)
    if isinstance(error, APIConnectionError):  # includes its timeouts
        return ProviderUnavailable(f"The model provider {host} does not answer", retry_after=DEFAULT_RETRY_AFTER)
    return ProviderFailed(f"The model provider {host} gave an answer that cannot be read")


def translate_status(
    error: APIStatusError, host: str, model: str, message: str, first: int, count: int
) -> RagstoreError:
    status = error.status_code
    if status in REFUSES_KEY:
        return ProviderRefused(f"The model provider {host} refused the API key ({status})")
    if status in REFUSES_INPUT:
        which = f"text {first}" if count == 1 else f"one of texts {first} to {first + count - 1}"
        reason = f"for {model} ({status}){message}"
        detail = f"The model provider {host} refused {which} {reason}"
        return TextsRefused(detail, first=first, count=count, reason=reason)
    if status in IS_BUSY or status >= 500:
        pause = read_retry_after(error.response.headers)
        return ProviderUnavailable(
            f"The model provider {host} is {'limiting requests' if status == 429 else 'not available'} ({status})",
            retry_after=DEFAULT_RETRY_AFTER if pause is None else pause,
        )
    if 300 <= status < 400:
        return ProviderRefused(f"The model provider {host} redirects elsewhere ({status}), which is not followed")
    return ProviderRefused(f"The model provider {host} cannot serve the model {model} ({status}){message}")


def describe(error: APIStatusError, key: str) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(message, str) or not message:
        return ""
    return ": " + message.replace(key, "…")[:MESSAGE_CHARACTERS]
