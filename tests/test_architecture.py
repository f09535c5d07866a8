"""Rules of the house that a linter does not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

from litestar import Litestar

from ragstore.tenant.schemas import Scope

PACKAGE = Path(__file__).parent.parent / "ragstore"
LONGEST_FILE = 300
LONGEST_FUNCTION = 45
PUBLIC = {"/", "/console/{name:str}", "/health/live", "/health/ready"}


def parse_package() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


def test_no_file_holds_two_ideas() -> None:
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    long = [
        f"{name}:{node.name}"
        for name, module in parse_package()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_only_the_database_module_commits() -> None:
    calls = {
        name
        for name, module in parse_package()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    }
    statements = {
        name
        for name, module in parse_package()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and node.value == "COMMIT"
    }
    assert (calls, statements) == ({"migrate.py"}, {"database.py"})


def test_no_table_is_tied_to_another_by_a_relationship() -> None:
    names = {node.id for _, module in parse_package() for node in ast.walk(module) if isinstance(node, ast.Name)}
    assert "Relationship" not in names


def test_every_route_names_its_scope_or_is_known_to_be_public(app: Litestar) -> None:
    public = set()
    for route in app.routes:
        for handler in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            if handler is None or "OPTIONS" in getattr(handler, "http_methods", ()):
                continue
            if handler.opt.get("exclude_from_auth"):
                public.add(route.path)
            else:
                assert isinstance(handler.opt.get("scope"), Scope), route.path
    assert {path for path in public if not path.startswith(("/schema", "/console"))} == {
        path for path in PUBLIC if not path.startswith("/console")
    }
