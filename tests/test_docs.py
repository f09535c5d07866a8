"""Pages of `docs/` made from the code; `RAGSTORE_TEST_WRITE_DOCS=1 pytest tests/test_docs.py` makes them anew."""

import os
import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from ragstore.errors import ConfigurationError, RagstoreError
from ragstore.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"


def list_errors(kind: type[RagstoreError] = RagstoreError) -> list[type[RagstoreError]]:
    found = [] if kind in (RagstoreError, ConfigurationError) else [kind]
    for one in kind.__subclasses__():
        if one.__module__ == "ragstore.errors":
            found += list_errors(one)
    return found


def write_errors_table() -> str:
    rows = sorted({(one.status, one.type(), one.title()) for one in list_errors()})
    return "\n".join(
        [
            "| status | `type` | title |",
            "|---|---|---|",
            *(f"| {status} | `{type_}` | {title} |" for status, type_, title in rows),
        ]
    )


def write_settings_table() -> str:
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"RAGSTORE_{name.upper()}")
        default = "" if field.default in (None, "", PydanticUndefined) else f"`{field.default}`"
        lines.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("page", "made"), [("errors.md", write_errors_table()), ("settings.md", write_settings_table())]
)
def test_the_table_of_the_page_is_what_the_code_says(page: str, made: str) -> None:
    path = DOCS / page
    text = path.read_text()
    table = re.compile(r"(<!-- made by tests/test_docs.py -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)
    found = table.search(text)
    assert found, f"{page} has no place for the table"
    if os.environ.get("RAGSTORE_TEST_WRITE_DOCS"):
        path.write_text(table.sub(lambda match: match[1] + made + match[3], text))
    else:
        assert found[2] == made


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme] == []
