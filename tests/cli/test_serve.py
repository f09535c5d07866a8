import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ragstore.cli.port import reserve_port
from ragstore.client import Client
from ragstore.client.location import SERVER_FILE
from ragstore.errors import ConfigurationError
from tests.cli.processes import list_processes, start, wait_for_service, wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def test_a_service_stops_in_order_on_sigterm(tmp_path: Path) -> None:
    process = start(tmp_path, "serve", "--port", "0", "--workers", "2")
    url = wait_for_service(tmp_path, process)
    key = (tmp_path / "data" / "admin.key").read_text().strip()
    with Client(url, key) as client:
        assert client.health() == "ok"
        assert client.ensure_collection("books").name == "books"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (0, "")
    assert key in out
    assert not (tmp_path / "data" / SERVER_FILE).exists()
    assert list_processes(tmp_path) == []


def test_a_chosen_admin_key_is_not_written(tmp_path: Path) -> None:
    process = start(tmp_path, "serve", "--port", "0", chosen_key="chosen-by-me")
    url = wait_for_service(tmp_path, process)
    with Client(url, "chosen-by-me") as client:
        assert list(client.list_collections()) == []
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (0, "")
    assert "chosen-by-me" not in out
    assert not (tmp_path / "data" / "admin.key").exists()


def test_a_killed_parent_leaves_nothing_running(tmp_path: Path) -> None:
    process = start(tmp_path, "serve", "--port", "0", "--workers", "2")
    url = wait_for_service(tmp_path, process)
    process.kill()
    process.communicate()
    wait_until(lambda: list_processes(tmp_path) == [], seconds=20)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health/live", trust_env=False)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=40)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "--port" in err


def test_a_port_shared_by_others_counts_as_in_use() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="in use"), reserve_port("127.0.0.1", taken.getsockname()[1]):
            pass


def test_two_services_cannot_reserve_one_port() -> None:
    with reserve_port("127.0.0.1", 0) as port:
        assert port > 0
        with pytest.raises(ConfigurationError, match="in use"), reserve_port("127.0.0.1", port):
            pass


def test_processes_of_the_folder_are_found(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", str(tmp_path)], stdin=subprocess.PIPE) as process:
        assert any(one.startswith(f"{process.pid} ") for one in list_processes(tmp_path))
    assert os.getpid() not in [int(one.split()[0]) for one in list_processes(tmp_path)]
