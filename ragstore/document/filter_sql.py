"""The typed filter tree to a SQL condition on `document d`. A key that lacks is false.

Indexes narrow it down (`filter_lookups.py`), the document decides. Only B-trees help behind row-level security:
Postgres does not trust the operators of JSON with rows that the policy may hide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

import msgspec

from ragstore.document.filter_lookups import (
    INDEXED_FIELDS,
    Lookup,
    answer_exactly,
    find_lookups,
    list_conjuncts,
)
from ragstore.document.filters import ORDERED, Condition, Every, Filter, Not, Some

COLUMNS = {"@key": "key", "@source": "source", "@created_at": "created_at", "@document_id": "id"}
ARRAYS = {"@key": "text[]", "@source": "text[]", "@created_at": "timestamptz[]", "@document_id": "uuid[]"}
MOST_LOOKUPS = 2  # a further one costs more than it narrows down
FEW_VALUES = 50  # Postgres looks up so many one by one in its statistics; of thousands that alone would take long
ENTRIES = (
    "SELECT x.document_id FROM metadata_entry x"
    " WHERE x.tenant_id = :tenant_id AND x.collection_id = :collection_id AND "
)
DOCUMENTS = "SELECT f.id FROM document f WHERE f.tenant_id = :tenant_id AND f.collection_id = :collection_id AND "


@dataclass
class FilterSql:
    """Compiles once; `parameters` then holds what the text names.

    What is unknown to SQL is as good as false in a WHERE, and an index can serve it; only under a NOT is it made false.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    prefix: str = "filter"
    negations: int = 0

    def compile_narrowed(self, node: Filter) -> str:
        """Columns with an index stand for themselves. All else is tested behind `coalesce`: Postgres would guess that
        the test narrows down once more what the lookups found, and plan for one row where there are thousands.
        """
        parts = list(list_conjuncts(node))
        plain = [one for one in parts if is_plain(one)]
        rest = Every(tuple(one for one in parts if not is_plain(one)))
        found = find_lookups(rest)
        tight = [one for one in found if one.looseness < 2][:MOST_LOOKUPS] or found[:1]
        narrowed = [self.compile_lookups(tight)] if tight else []
        tested = [f"coalesce({self.compile(rest)}, false)"] if rest.parts else []
        return "(" + " AND ".join([*map(self.compile, plain), *narrowed, *tested]) + ")" if parts else "true"

    def compile_lookups(self, lookups: Sequence[Lookup]) -> str:
        """Intersected, not joined: Postgres multiplies the shares of joined ones, as if they had nothing to do with
        each other, and a search that expects one document reads all codes once for each that comes.
        """
        found = " INTERSECT ".join(f"({self.compile_lookup(one)})" for one in lookups)
        # Of many values Postgres would expect too many documents, and read the collection instead.
        many = any(len(one.entries) > FEW_VALUES for one in lookups)
        return f"d.id = ANY(ARRAY({found}))" if many else f"d.id IN ({found})"

    def compile_lookup(self, one: Lookup) -> str:
        selects = [DOCUMENTS + self.compile_field(part.key, part.operator, part.value, "f") for part in one.fields]
        for part in one.ranges:
            low, high = self.bind(part.low), self.bind(part.high)
            selects.append(f"{ENTRIES}x.entry >= CAST({low} AS bytea) AND x.entry < CAST({high} AS bytea)")
        if len(one.entries) == 1:
            selects.append(f"{ENTRIES}x.entry = CAST({self.bind(one.entries[0])} AS bytea)")
        elif one.entries or not selects:
            values = f"CAST({self.bind(list(one.entries))} AS bytea[])"
            many = len(one.entries) > FEW_VALUES
            selects.append(f"{ENTRIES}x.entry {f'IN (SELECT unnest({values}))' if many else f'= ANY({values})'}")
        return " UNION ".join(selects)

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

    def compile_field(self, key: str, operator: str, value: Any, alias: str = "d") -> str:
        column = f"{alias}.{COLUMNS[key]}"
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
            values = self.bind([to_json(one) for one in value])
            return f"{entry} IN (SELECT unnest(CAST({values} AS jsonb[])))"  # hashed, which ANY is only in custom plans
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
        name = f"{self.prefix}_{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


def compile_documents(node: Filter) -> tuple[str, dict[str, Any]]:
    """A SELECT of the ids of the documents that match, each once, and its parameters, as of `compile_filter`. Entries
    alone answer it where they can: the documents are not read.
    """
    sql = FilterSql()
    exact = answer_exactly(node)
    if exact is not None:
        selects = [f"({sql.compile_lookup(one)})" for one in exact]
        if len(exact) == 1 and exact[0].repeats:
            once = f"SELECT DISTINCT found.document_id FROM {selects[0]} found (document_id)"  # noqa: S608  # no value
            return once, sql.parameters
        return " INTERSECT ".join(selects), sql.parameters
    condition = sql.compile_narrowed(node)
    return f"{DOCUMENTS.replace('f.', 'd.').replace(' f ', ' d ')}{condition}", sql.parameters


def is_answered_by_indexes(node: Filter) -> bool:
    """Whether `compile_documents` reads no document."""
    return answer_exactly(node) is not None


def compile_test(node: Filter) -> tuple[str, dict[str, Any]]:
    """SQL on one `document d` that is at hand: no index is asked. Its parameters have other names than the others'."""
    sql = FilterSql(prefix="test")
    return sql.compile(node), sql.parameters


def is_plain(node: Filter) -> bool:
    return isinstance(node, Condition) and node.key in INDEXED_FIELDS


def to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def compile_filter(node: Filter | None) -> tuple[str, dict[str, Any]]:
    """SQL on `document d` and its parameters; `true` when there is no filter.

    It also names :tenant_id and :collection_id, which the caller binds. Plan it for its values (`plan="custom"`, or
    `plan_for_values`): whether an index helps depends on them.
    """
    if node is None:
        return "true", {}
    sql = FilterSql()
    return sql.compile_narrowed(node), sql.parameters
