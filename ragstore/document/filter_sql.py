"""The typed filter tree to a SQL condition on `document d`. A key that lacks is false."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, assert_never

import msgspec

from ragstore.document.filters import ORDERED, Condition, Every, Filter, Not, Some

COLUMNS = {"@key": "d.key", "@source": "d.source", "@created_at": "d.created_at", "@document_id": "d.id"}
ARRAYS = {"@key": "text[]", "@source": "text[]", "@created_at": "timestamptz[]", "@document_id": "uuid[]"}


@dataclass
class FilterSql:
    """Compiles once; `parameters` then holds what the text names.

    What is unknown to SQL is as good as false in a WHERE, and an index can serve it; only under a NOT is it made false.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    negations: int = 0

    def compile(self, node: Filter) -> str:
        match node:
            case Every(parts):
                return "(" + " AND ".join(map(self.compile, parts)) + ")" if parts else "true"
            case Some(parts):
                return "(" + " OR ".join(map(self.compile, parts)) + ")"
            case Not(part):
                self.negations += 1
                inside = self.compile(part)
                self.negations -= 1
                return f"(NOT {inside})"
            case Condition():
                return self.compile_condition(node)
            case _:
                assert_never(node)

    def compile_condition(self, node: Condition) -> str:
        negated = {"$ne": "$eq", "$nin": "$in"}.get(node.operator)
        operator = negated or node.operator
        compile_test: Callable[[str, str, Any], str] = (
            self.compile_field if node.key in COLUMNS else self.compile_metadata
        )
        test = compile_test(node.key, operator, node.value)
        if negated or self.negations:
            test = f"coalesce({test}, false)"
        return f"(NOT {test})" if negated else f"({test})"

    def compile_field(self, key: str, operator: str, value: Any) -> str:
        column = COLUMNS[key]
        if operator == "$exists":
            return f"({column} IS NOT NULL) = {self.bind(value)}"
        if operator == "$in":
            return f"{column} = ANY(CAST({self.bind([one for one in value if one is not None])} AS {ARRAYS[key]}))"
        if value is None:
            return f"{column} IS NULL"
        if operator == "$contains":
            return f"strpos({column}, {self.bind(value)}) > 0"
        text = f'{column} COLLATE "C"' if ARRAYS[key] == "text[]" else column
        return f"{text} {ORDERED.get(operator, '=')} {self.bind(value)}"

    def compile_metadata(self, key: str, operator: str, value: Any) -> str:
        entry = f"(d.metadata -> CAST({self.bind(key)} AS text))"
        if operator == "$exists":
            return f"({entry} IS NOT NULL) = {self.bind(value)}"
        if operator == "$in":
            return f"{entry} = ANY(CAST({self.bind([to_json(one) for one in value])} AS jsonb[]))"
        if operator == "$eq":
            return f"{entry} = CAST({self.bind(to_json(value))} AS jsonb)"
        if operator == "$contains":
            return self.compile_contains(entry, value)
        kind, cast = ("string", "#>> '{}') COLLATE \"C\"") if isinstance(value, str) else ("number", ")::numeric")
        operand = f"CAST({self.bind(value if isinstance(value, str) else to_json(value))} AS text)"
        operand = operand if kind == "string" else f"({operand})::numeric"
        return f"CASE WHEN jsonb_typeof({entry}) = '{kind}' THEN ({entry} {cast} {ORDERED[operator]} {operand} END"

    def compile_contains(self, entry: str, value: Any) -> str:
        """A list contains an element; a string contains a shorter one."""
        element = f"{entry} @> jsonb_build_array(CAST({self.bind(to_json(value))} AS jsonb))"
        inside = f"CASE jsonb_typeof({entry}) WHEN 'array' THEN {element}"
        if isinstance(value, str):
            inside += f" WHEN 'string' THEN strpos({entry} #>> '{{}}', {self.bind(value)}) > 0"
        return f"{inside} END"

    def bind(self, value: Any) -> str:
        name = f"filter_{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


def to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def compile_filter(node: Filter | None) -> tuple[str, dict[str, Any]]:
    """SQL on `document d` and its parameters; `true` when there is no filter."""
    if node is None:
        return "true", {}
    sql = FilterSql()
    return sql.compile(node), sql.parameters
