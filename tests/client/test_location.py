import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from ragstore.client.location import (
    KEY_FILE,
    RunningServer,
    find_service,
    read_server_file,
    remove_server_file,
    write_atomically,
    write_server_file,
)
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAGSTORE_")]:
        monkeypatch.delenv(name)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_environment_comes_first(tmp_path: Path) -> None:
    write_server_file(tmp_path, RunningServer("http://127.0.0.1:1", os.getpid()))
    found = find_service(Settings(data_dir=tmp_path, url="https://there", api_key=SecretStr("k")))
    assert (found.url, found.api_key) == ("https://there", "k")
    assert "k" not in repr(found).replace("api_key", "")


def test_the_key_of_the_data_directory_is_not_shown_to_another_service(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("secret\n")
    with pytest.raises(ConfigurationError, match="RAGSTORE_API_KEY is not"):
        find_service(Settings(data_dir=tmp_path, url="https://there", admin_key=SecretStr("secret")))


def test_the_running_service_and_its_key_are_found(tmp_path: Path) -> None:
    write_server_file(tmp_path, RunningServer("http://127.0.0.1:1", os.getpid()))
    (tmp_path / KEY_FILE).write_text("from-file\n")
    assert find_service(Settings(data_dir=tmp_path)).api_key == "from-file"
    assert find_service(Settings(data_dir=tmp_path, admin_key=SecretStr("chosen"))).api_key == "chosen"


def test_no_service_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ragstore serve"):
        find_service(Settings(data_dir=tmp_path))


def test_a_dead_service_is_not_running(tmp_path: Path) -> None:
    write_server_file(tmp_path, RunningServer("http://127.0.0.1:1", dead_pid()))
    with pytest.raises(ConfigurationError, match="not running any more"):
        find_service(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}'])
def test_a_spoilt_server_file_is_no_service(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    assert read_server_file(tmp_path) is None


def test_only_the_own_server_file_is_removed(tmp_path: Path) -> None:
    write_server_file(tmp_path, RunningServer("http://127.0.0.1:1", 5))
    remove_server_file(tmp_path, 6)
    assert read_server_file(tmp_path) is not None
    remove_server_file(tmp_path, 5)
    assert read_server_file(tmp_path) is None


def test_files_are_private_and_leave_nothing_behind(tmp_path: Path) -> None:
    write_atomically(tmp_path / "secret", b"one")
    write_atomically(tmp_path / "secret", b"two")
    assert (tmp_path / "secret").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_a_client_needs_no_framework_and_no_database() -> None:
    code = "import ragstore.client, sys; print(*[m for m in ('litestar', 'sqlalchemy', 'asyncpg') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
