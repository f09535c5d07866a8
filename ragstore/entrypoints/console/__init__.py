"""The search page at `/`: its own small files, read once. It asks the API with the key a person types in."""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from litestar import HttpMethod, Request, Response, Router, route
from litestar.params import FromPath

from ragstore.errors import NotFound
from ragstore.tenant.guard import PUBLIC

PAGES = Path(__file__).parent / "pages"

# Not guessed from the machine's tables: with `nosniff`, a module of another type would not run. Litestar adds charset.
CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def load_page(path: Path) -> Page:
    content = path.read_bytes()
    return Page(content, CONTENT_TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')


ASSETS = {path.name: load_page(path) for path in sorted(PAGES.iterdir()) if path.suffix in CONTENT_TYPES}
INDEX = ASSETS.pop("index.html")


def answer(page: Page, request: Request[Any, Any, Any]) -> Response[bytes]:
    headers = {**HEADERS, "ETag": page.etag}
    if page.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    if request.method == HttpMethod.HEAD:
        headers["Content-Length"] = str(len(page.content))
        return Response(b"", media_type=page.media_type, headers=headers)
    return Response(page.content, media_type=page.media_type, headers=headers)


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC, include_in_schema=False)
async def show_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return answer(INDEX, request)


@route("/console/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC, include_in_schema=False)
async def show_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    if (page := ASSETS.get(name)) is None:
        raise NotFound
    return answer(page, request)


router = Router("/", route_handlers=[show_page, show_asset])
