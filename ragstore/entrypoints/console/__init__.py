"""The search page at `/`: static files that ask the API with the key a person types in."""

from pathlib import Path

from litestar import Router, get
from litestar.enums import MediaType
from litestar.response import File
from litestar.static_files import create_static_files_router

from ragstore.tenant.guard import PUBLIC

PAGES = Path(__file__).parent / "pages"


@get("/", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML)
async def show_page() -> File:
    return File(PAGES / "index.html", media_type=MediaType.HTML, content_disposition_type="inline")


assets = create_static_files_router("/console", directories=[PAGES], include_in_schema=False, opt=PUBLIC)
router = Router("/", route_handlers=[show_page, assets])
