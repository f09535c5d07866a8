"""What the framework's OpenAPI document leaves out or says wrong of this service. Pure."""

import re
from inspect import getdoc
from typing import Any

import msgspec

from ragstore.ingestion.files.schemas import FileFields
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.ingestion.streaming.schemas import LineResult
from ragstore.openapi_fields import describe_fields, restore_minimums
from ragstore.openapi_search import complete_search
from ragstore.problems import MEDIA_TYPE, Problem
from ragstore.search import schemas as search_schemas

PROBLEM = {"$ref": "#/components/responses/Problem"}
PROBLEM_STATUSES = ("400", "401", "403", "404", "409", "413", "415", "422", "503", "default")
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key happens once and is answered the same for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
HEALTH_STATUSES = ("503", "default")
STREAMED = "/documents/import"
LINES = "application/x-ndjson"


def complete_document(document: dict[str, Any]) -> dict[str, Any]:
    """Every error as the problem it is, public routes as public, documents with their shape, searching in words."""
    components = document["components"]
    _, schemas = msgspec.json.schema_components(
        (Problem, DocumentUpsert, LineResult, FileFields), ref_template="#/components/schemas/{name}"
    )
    components["schemas"] |= schemas
    documents = components["schemas"]["DocumentsUpsert"]["properties"]["documents"]
    documents["items"] = {"$ref": "#/components/schemas/DocumentUpsert"}
    describe_schemas(components["schemas"])
    describe_fields(components["schemas"])
    restore_minimums(components["schemas"])
    complete_search(document)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["responses"] = {"Problem": {"description": "What went wrong (RFC 9457)", "content": content}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            complete_operation(path, operation)
            if method == "post" and path.endswith("/files"):
                describe_upload(operation, components["schemas"])
            if method == "post" and path.endswith(STREAMED):
                complete_import(operation)
            elif method != "get" and not path.endswith("/search"):
                operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    return document


def complete_import(operation: dict[str, Any]) -> None:
    """The framework knows neither the body, which no parameter of the handler is, nor the answer."""
    of_document, of_line = ({"$ref": f"#/components/schemas/{name}"} for name in ("DocumentUpsert", "LineResult"))
    operation["requestBody"] = {"required": True, "content": {LINES: {"schema": of_document}}}
    answer = {
        "description": "A line for each document, then one that sums up.",
        "content": {LINES: {"schema": of_line}},
    }
    operation["responses"]["200"] = answer


def describe_upload(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Parts of a form: files, and fields of which some are JSON as text."""
    fields = schemas.pop("FileFields")
    files = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
    schemas["FileUpload"] = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": files, **fields["properties"]},
    }
    encoding = {name: {"contentType": "application/json"} for name in ("metadata", "chunking")}
    content = {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/FileUpload"}, "encoding": encoding}}
    operation["requestBody"] = {"required": True, "content": content}


def describe_schemas(schemas: dict[str, Any]) -> None:
    """By the docstring of the struct, where there is one of the search's."""
    for name, schema in schemas.items():
        kind = getattr(search_schemas, name, None)
        if isinstance(kind, type) and kind.__doc__ and kind.__module__ == search_schemas.__name__:
            schema["description"] = " ".join((getdoc(kind) or "").split())


def complete_operation(path: str, operation: dict[str, Any]) -> None:
    operation["summary"] = re.sub(r"(?<=[a-z])([A-Z])", lambda word: f" {word[0].lower()}", operation["summary"])
    is_public = path.startswith("/health/")
    if is_public:
        operation["security"] = []
    for status in HEALTH_STATUSES if is_public else PROBLEM_STATUSES:
        operation["responses"][status] = PROBLEM
