"""The OpenAPI document at `/schema/openapi.json`, and Swagger UI on it at `/schema`, served from our own machine."""

from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router

import ragstore
from ragstore.errors import NotFound
from ragstore.openapi_document import complete_document
from ragstore.problems import make_problem
from ragstore.tenant.guard import PUBLIC

ASSETS = "/schema/assets"
AnyRequest = Request[Any, Any, Any]


class CompleteJson(JsonRenderPlugin):
    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete_document(deepcopy(openapi_schema)))


class CompleteSwagger(SwaggerRenderPlugin):
    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete_document(deepcopy(openapi_schema)))


async def answer_as_problem(response: Response[Any]) -> Response[Any]:
    """The framework's own page for what is not there is HTML."""
    return make_problem(NotFound()) if response.status_code == NotFound.status else response


def find_swagger_assets() -> Path:
    """Swagger UI as the package swagger-ui-py ships it; nothing of it is imported."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"


def make_assets() -> Router:
    return create_static_files_router(
        ASSETS, directories=[find_swagger_assets()], include_in_schema=False, opt=PUBLIC, name="openapi-assets"
    )


def make_openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="ragstore",
        version=ragstore.__version__,
        description="The document store for retrieval-augmented generation.",
        path="/schema",
        use_handler_docstrings=True,
        openapi_router=Router(
            "/schema", route_handlers=[], opt=PUBLIC, include_in_schema=False, after_request=answer_as_problem
        ),
        render_plugins=[
            CompleteJson(),
            CompleteSwagger(
                js_url=f"{ASSETS}/swagger-ui-bundle.js",
                css_url=f"{ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{ASSETS}/swagger-ui-standalone-preset.js",
                favicon="<link rel='icon' href='data:,'>",
            ),
        ],
        components=Components(security_schemes={"ApiKey": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"ApiKey": []}],
    )
