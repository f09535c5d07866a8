"""Where the service is: `server.json` and `admin.key` of the data directory, unless the environment says otherwise."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ragstore.errors import ConfigurationError
from ragstore.settings import Settings

SERVER_FILE = "server.json"
KEY_FILE = "admin.key"
START = "start one with `ragstore serve`, or set RAGSTORE_URL and RAGSTORE_API_KEY."


@dataclass(frozen=True)
class ServiceAddress:
    url: str
    api_key: str = field(repr=False)


class RunningServer(msgspec.Struct, frozen=True):
    """What `ragstore serve` leaves in the data directory while it runs."""

    url: str
    pid: int


def find_service(settings: Settings) -> ServiceAddress:
    """Raises ConfigurationError that says what to do."""
    if settings.url is not None:
        if settings.api_key is None:
            # The keys at hand belong to the service of the data directory: no other one may see them.
            raise ConfigurationError("RAGSTORE_URL is set and RAGSTORE_API_KEY is not: set both.")
        return ServiceAddress(settings.url, settings.api_key.get_secret_value())
    running = read_server_file(settings.data_dir)
    if running is None:
        raise ConfigurationError(f"No service is running in {settings.data_dir}: {START}")
    if not is_alive(running.pid):
        raise ConfigurationError(f"The service of {settings.data_dir} is not running any more: {START}")
    return ServiceAddress(running.url, find_key(settings))


def find_key(settings: Settings) -> str:
    """Raises ConfigurationError when there is none."""
    chosen = settings.api_key or settings.admin_key
    if chosen is not None:
        return chosen.get_secret_value()
    path = settings.data_dir / KEY_FILE
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigurationError(f"There is no key in {path}: set RAGSTORE_API_KEY.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key in {path} cannot be read: {error}") from None


def read_server_file(data_dir: Path) -> RunningServer | None:
    try:
        return msgspec.json.decode((data_dir / SERVER_FILE).read_bytes(), type=RunningServer)
    except (OSError, msgspec.MsgspecError):
        return None


def write_server_file(data_dir: Path, running: RunningServer) -> None:
    write_atomically(data_dir / SERVER_FILE, msgspec.json.encode(running) + b"\n")


def remove_server_file(data_dir: Path, pid: int) -> None:
    """Unless another process has put its own there."""
    found = read_server_file(data_dir)
    if found is not None and found.pid == pid:
        (data_dir / SERVER_FILE).unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """With mode 600 from its first moment; readers see the old file or the whole new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # signal 0 would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
