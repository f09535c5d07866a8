"""ragstore: the document store for retrieval-augmented generation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragstore.store import open_store as open

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def __getattr__(name: str) -> Any:
    """`ragstore.open` is loaded when it is asked for: the embedded server's supervisor imports this package without
    site-packages, and a client needs neither the web framework nor a database library.
    """
    if name != "open":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ragstore.store import open_store  # noqa: PLC0415 - see above

    return open_store
