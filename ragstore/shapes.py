"""What a type says of one place in it, for messages about a value that does not suit. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import inspect

STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")


def list_choices(kind: Any, path: str) -> list[str]:
    """The values that may stand at `path`, such as `queries[3].mode`, in alphabetical order; none where any may."""
    return [str(one) for node in find_nodes(kind, path) if isinstance(node, inspect.LiteralType) for one in node.values]


def is_unchangeable(kind: Any, path: str, name: str) -> bool:
    """Whether the struct at `path` lists `name` in its class variable `unchangeable`."""
    structs = [node.cls for node in find_nodes(kind, path) if isinstance(node, inspect.StructType)]
    return any(name in getattr(one, "unchangeable", ()) for one in structs)


def find_nodes(kind: Any, path: str) -> list[inspect.Type]:
    """What may stand there: several of a union. `kind` may also be several types by name, of which the path's first
    step is one.
    """
    steps = STEP.findall(path)
    if isinstance(kind, Mapping):
        kind = kind.get(steps.pop(0), Any) if steps else Any
    nodes = list(open_node(inspect.type_info(kind)))
    for step in steps:
        nodes = [inside for node in nodes for one in enter(node, step) for inside in open_node(one)]
    return nodes


def open_node(node: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.Metadata):
        yield from open_node(node.type)
    elif isinstance(node, inspect.UnionType):
        for one in node.types:
            yield from open_node(one)
    else:
        yield node


def enter(node: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.StructType):
        yield from (field.type for field in node.fields if field.encode_name == step)
    elif isinstance(node, inspect.CollectionType):
        yield node.item_type
    elif isinstance(node, inspect.DictType):
        yield node.value_type
