import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from ragstore.embedded import EmbeddedServer, start_embedded
from ragstore.embedded.cluster import UNFINISHED
from ragstore.embedded.folder import SHOWS_PROCESSES, Folder, is_free
from ragstore.errors import ConfigurationError

SETTINGS = {"fsync": "off"}
OWNER = """
import sys, time
from pathlib import Path
from ragstore.embedded import start_embedded
server = start_embedded(Path(sys.argv[1]), memory_mb=256, settings={"fsync": "off"})
print(server.url, flush=True)
try:
    time.sleep(120)
finally:
    server.close()
"""


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data_dir = tmp_path_factory.mktemp("d") / "ragstore"
    yield data_dir
    until(lambda: postmaster_pid(data_dir) is None)


def start(data_dir: Path) -> EmbeddedServer:
    return start_embedded(data_dir, memory_mb=256, settings=SETTINGS)


def spawn_owner(data_dir: Path, script: str = OWNER) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def url_of(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()


def start_owner(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    owner = spawn_owner(data_dir)
    return owner, url_of(owner)


def end(owner: subprocess.Popen[str], number: signal.Signals) -> None:
    owner.send_signal(number)
    with owner:
        owner.wait(timeout=30)


def postmaster_pid(data_dir: Path) -> int | None:
    """None once it has ended."""
    folder = Folder(data_dir.resolve())
    found = folder.postmaster()
    return found.pid if found and folder.runs_here(found.pid) else None


def running_pid(data_dir: Path) -> int:
    pid = postmaster_pid(data_dir)
    assert pid is not None
    return pid


def supervisor_pid(data_dir: Path) -> int:
    """Asked of the system: nothing in the data directory names it."""
    pid = running_pid(data_dir)
    if SHOWS_PROCESSES:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("PPid:")[1].split()[0])
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def run(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def keep_a_row(url: str) -> None:
    await run(url, "CREATE TABLE kept AS SELECT 42 AS answer")


async def kept_row(url: str) -> object:
    return await run(url, "SELECT answer FROM kept")


async def test_data_outlives_a_stop_and_close_waits_for_it(data_dir: Path) -> None:
    with start(data_dir) as server:
        await keep_a_row(server.url)
        pid = running_pid(data_dir)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.close()
    started = time.monotonic()
    with start(data_dir) as server:
        assert time.monotonic() - started < 3  # 0.2 s on an idle machine
        assert await kept_row(server.url) == 42
    assert "not properly shut down" not in Folder(data_dir).log.read_text()


async def test_the_database_is_what_ragstore_needs(data_dir: Path) -> None:
    with start(data_dir) as server:
        await run(server.url, "CREATE EXTENSION vector")
        assert await run(server.url, "SELECT '[1,2]'::vector <-> '[1,2]'") == 0
        assert await run(server.url, "SELECT lower('ÄÖ') || current_setting('server_encoding')") == "äöUTF8"
        assert await run(server.url, "SELECT to_tsvector('english', 'one — two')::text") == "'one':1 'two':2"
        assert await run(server.url, "SELECT current_setting('data_checksums')") == "on"
        assert await run(server.url, "SELECT current_setting('listen_addresses')") == ""
        await run(server.url, 'CREATE DATABASE "a b"')
        assert await run(server.database_url("a b"), "SELECT current_database()") == "a b"


async def test_two_users_share_one_server_until_the_last_closes(data_dir: Path) -> None:
    first, second = start(data_dir), start(data_dir)
    pid = running_pid(data_dir)
    assert first.url == second.url
    first.close()
    assert await run(second.url, "SELECT 1") == 1
    assert postmaster_pid(data_dir) == pid
    second.close()
    assert postmaster_pid(data_dir) is None


async def test_closing_twice_does_not_close_a_later_use(data_dir: Path) -> None:
    first = start(data_dir)
    first.close()
    with start(data_dir) as second:
        first.close()
        time_to_stop = 0.3
        await asyncio.sleep(time_to_stop)
        assert await run(second.url, "SELECT 1") == 1


async def test_many_processes_starting_at_once_get_the_same_server(data_dir: Path) -> None:
    owners = [spawn_owner(data_dir) for _ in range(4)]
    urls = {url_of(owner) for owner in owners}
    assert len(urls) == 1
    assert await run(urls.pop(), "SELECT 1") == 1
    for owner in owners:
        end(owner, signal.SIGKILL)


async def test_a_killed_owner_leaves_no_server_and_no_loss(data_dir: Path) -> None:
    owner, url = start_owner(data_dir)
    await keep_a_row(url)
    end(owner, signal.SIGKILL)
    until(lambda: postmaster_pid(data_dir) is None)
    with start(data_dir) as server:
        assert await kept_row(server.url) == 42


async def test_killing_one_user_leaves_the_server_to_the_others(data_dir: Path) -> None:
    owner, url = start_owner(data_dir)
    with start(data_dir):
        end(owner, signal.SIGKILL)
        await asyncio.sleep(0.3)
        assert await run(url, "SELECT 1") == 1


async def test_control_c_in_the_terminal_ends_owner_and_server_cleanly(data_dir: Path) -> None:
    owner, url = start_owner(data_dir)
    await keep_a_row(url)
    os.killpg(owner.pid, signal.SIGINT)
    with owner:
        owner.wait(timeout=30)
    assert postmaster_pid(data_dir) is None
    with start(data_dir) as server:
        assert await kept_row(server.url) == 42
    assert "interrupted" not in Folder(data_dir).log.read_text()


async def test_a_killed_supervisor_is_replaced_at_the_next_start(data_dir: Path) -> None:
    owner, url = start_owner(data_dir)
    await keep_a_row(url)
    os.kill(supervisor_pid(data_dir), signal.SIGKILL)
    end(owner, signal.SIGKILL)
    pid = running_pid(data_dir)
    with start(data_dir) as server:
        assert running_pid(data_dir) == pid
        assert await kept_row(server.url) == 42
    until(lambda: postmaster_pid(data_dir) is None)


def test_a_killed_supervisor_is_replaced_by_the_last_user(data_dir: Path) -> None:
    server = start(data_dir)
    os.kill(supervisor_pid(data_dir), signal.SIGKILL)
    until(lambda: is_free(Folder(data_dir).supervisor_lock))
    server.close()
    until(lambda: postmaster_pid(data_dir) is None)


async def test_postgres_recovers_from_being_killed_under_a_living_user(data_dir: Path) -> None:
    with start(data_dir) as first:
        await keep_a_row(first.url)
        os.kill(running_pid(data_dir), signal.SIGKILL)
        with start(data_dir) as second:
            assert await kept_row(second.url) == 42
            assert await kept_row(first.url) == 42


async def test_everything_killed_at_once_is_recovered(data_dir: Path) -> None:
    owner, url = start_owner(data_dir)
    await keep_a_row(url)
    for pid in (supervisor_pid(data_dir), running_pid(data_dir)):
        os.kill(pid, signal.SIGKILL)
    end(owner, signal.SIGKILL)
    with start(data_dir) as server:
        assert await kept_row(server.url) == 42


async def test_a_dead_servers_pid_may_belong_to_another_process(data_dir: Path) -> None:
    with start(data_dir) as server:
        await keep_a_row(server.url)
        note = Folder(data_dir).cluster / "postmaster.pid"
        lines = note.read_text().splitlines()
    note.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    note.chmod(0o600)
    with start(data_dir) as server:
        assert await kept_row(server.url) == 42


def test_an_interrupted_first_start_leaves_nothing_half_made(data_dir: Path) -> None:
    unfinished = data_dir / f"{UNFINISHED}killed"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with start(data_dir):
        assert not list(data_dir.glob(f"{UNFINISHED}*"))


@pytest.mark.parametrize("name", ["x" * 120, "with space", "ünder,it's & more"])
async def test_any_path_will_do(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    with start(tmp_path_factory.mktemp("d") / name) as server:
        assert await run(server.url, "SELECT 1") == 1
        socket_dir = server.socket_dir
        assert socket_dir.stat().st_mode & 0o777 == 0o700
    until(lambda: not socket_dir.exists())


def test_a_forked_child_neither_keeps_nor_stops_the_server(data_dir: Path) -> None:
    script = OWNER.replace("try:", "import os\nif os.fork() == 0:\n    server.close()\n    time.sleep(30)\ntry:")
    owner = spawn_owner(data_dir, script)
    url_of(owner)
    time.sleep(0.3)
    running_pid(data_dir)
    end(owner, signal.SIGKILL)
    until(lambda: postmaster_pid(data_dir) is None)
    os.killpg(owner.pid, signal.SIGKILL)


def test_only_the_data_directory_is_touched_and_it_is_private(data_dir: Path) -> None:
    def outside() -> list[tuple[int, int, int]]:
        return [(found.st_mode, found.st_uid, found.st_gid) for found in map(os.stat, data_dir.parents)]

    before = outside()
    with start(data_dir):
        assert outside() == before
    assert outside() == before
    assert data_dir.stat().st_mode & 0o777 == 0o700


def test_an_existing_data_directory_keeps_its_mode(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    with start(data_dir):
        assert data_dir.stat().st_mode & 0o777 == 0o755


def test_files_of_another_major_version_are_refused(data_dir: Path) -> None:
    cluster = Folder(data_dir).cluster
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match=r"was made by Postgres 17, the embedded one is 18"):
        start(data_dir)


def test_a_server_that_cannot_start_says_why_at_once(data_dir: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        start_embedded(data_dir, memory_mb=256, settings={"no_such_setting": "1"} | SETTINGS)
    assert time.monotonic() - started < 20
    start(data_dir).close()


def test_a_data_directory_that_is_a_file_is_refused_in_a_sentence(data_dir: Path) -> None:
    data_dir.write_text("")
    with pytest.raises(ConfigurationError, match="cannot use the data directory"):
        start(data_dir)
