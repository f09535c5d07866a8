"""Documents from addresses of the web, which nobody may use to reach into the network this runs in."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

import ragstore
from ragstore.cli.items import Item, Upload
from ragstore.cli.reading import read_text

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

MOST_BYTES = 50_000_000
MOST_REDIRECTS = 5
TIMEOUT = httpx.Timeout(30, connect=10)
DEADLINE_SECONDS = 300.0  # of one document, however slowly it drips
USER_AGENT = f"ragstore/{ragstore.__version__}"
SCHEMES = ("http://", "https://")
PLAIN_TYPES = ("text/plain", "text/markdown", "text/x-markdown", "text/x-rst")
NAT64 = ip_network("64:ff9b::/96")  # whose last 32 bits are an address of the old kind


class NotFetched(Exception):
    """The reason, to be put after the address."""


@dataclass(frozen=True)
class Page:
    content: bytes
    media_type: str


def is_url(text: str) -> bool:
    return text.lower().startswith(SCHEMES)


def resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"{host} is not found: {error}") from None
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_public(text: str) -> bool:
    """Also of addresses that carry another one."""
    address: Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        inner = address.ipv4_mapped or address.sixtofour or teredo
        if inner is None and address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


class Fetcher:
    """`allow_private` lets it reach every address. `transport` and `resolve` replace the network (tests)."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        transport: httpx.BaseTransport | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self.allow_private = allow_private
        self.resolve = resolve
        # Proxies of the environment would resolve names themselves, to whatever address.
        self.http = httpx.Client(
            timeout=TIMEOUT,
            trust_env=False,
            transport=transport,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self.http.close()

    def fetch(self, url: str) -> Page:
        """Every hop is looked at before it is gone. Raises NotFetched."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        following = parse_url(url)
        for _ in range(MOST_REDIRECTS + 1):
            with telling(), self._open(following) as response:
                if not response.has_redirect_location:
                    return read_page(response, deadline)
                following = parse_url(str(following.join(response.headers["location"])))
        raise NotFetched(f"is redirected more than {MOST_REDIRECTS} times")

    @contextmanager
    def _open(self, url: httpx.URL) -> Iterator[httpx.Response]:
        """Connects to the very address that was looked at: the name may mean another one a moment later."""
        chosen = self._choose(url)
        headers = {"Host": url.netloc.decode()}
        with self.http.stream(
            "GET", url.copy_with(host=chosen), headers=headers, extensions={"sni_hostname": url.host}
        ) as response:
            yield response

    def _choose(self, url: httpx.URL) -> str:
        addresses = self.resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        if not addresses:
            raise NotFetched(f"{url.host} is not found")
        hidden = [one for one in addresses if not is_public(one)]
        if hidden and not self.allow_private:
            named = url.host if url.host == hidden[0] else f"{url.host}, at {hidden[0]},"
            raise NotFetched(f"{named} is in a private network: --allow-private allows it")
        return addresses[0]


@contextmanager
def telling() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise NotFetched(f"did not answer: {error or type(error).__name__}") from None


def parse_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise NotFetched(f"is no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise NotFetched("leads to an address that is neither http nor https")
    if url.userinfo:
        raise NotFetched("holds a user name, which is not sent")
    return url.copy_with(fragment=None)


def read_page(response: httpx.Response, deadline: float) -> Page:
    """Never more of it than the limit, nor for longer than the deadline."""
    if response.status_code != httpx.codes.OK:
        raise NotFetched(f"answers {response.status_code} {response.reason_phrase}".strip())
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotFetched("answers in an encoding that was not accepted")
    content = bytearray()
    for part in response.iter_raw():
        content += part
        if len(content) > MOST_BYTES:
            raise NotFetched(f"has more than {MOST_BYTES // 1_000_000} MB")
        if time.monotonic() > deadline:
            raise NotFetched(f"was not read in {DEADLINE_SECONDS:.0f} s")
    return Page(bytes(content), response.headers.get("content-type", "").partition(";")[0].strip().lower())


def fetch_all(urls: Sequence[str], fetcher: Fetcher) -> Iterator[Item]:
    for url in urls:
        try:
            yield to_item(url, fetcher.fetch(url))
        except NotFetched as reason:
            yield Item(url, 0, fault=str(reason))


def to_item(url: str, page: Page) -> Item:
    """Its key is its address. Plain text is read here, all else by the service."""
    path = PurePosixPath(unquote(httpx.URL(url).path))
    if page.media_type in PLAIN_TYPES:
        suffix = ".md" if "markdown" in page.media_type else path.suffix.lower()
        return read_text(page.content, url, url, suffix, url)
    name = path.name or "index.html"
    return Item(url, len(page.content), upload=Upload(page.content, url, name, url, url))
