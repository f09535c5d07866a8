import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import ragstore
from ragstore.embedded import start_embedded
from ragstore.embedded.binaries import find_binaries
from ragstore.embedded.folder import Folder
from ragstore.embedded.privileges import Identity, as_user, has_name, possible_identities

as_root = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="needs root on Linux to become somebody else"
)
private_installation = pytest.mark.skipif(
    any(not folder.stat().st_mode & stat.S_IXOTH for folder in find_binaries().parents),
    reason="the installation lies in a private folder, where no other user can run Postgres",
)
START_AND_STOP = """
import sys
from pathlib import Path
from ragstore.embedded import start_embedded
from ragstore.errors import ConfigurationError
try:
    with start_embedded(Path(sys.argv[1]), memory_mb=256, settings={"fsync": "off"}):
        print("started")
except ConfigurationError as error:
    print(error.detail)
"""
# A namespace like the outside, in which no further one may be made: what most containers are.
CONTAINER = """
import ctypes, os, sys
made, mapped = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if ctypes.CDLL(None).unshare(0x10000000):
        os._exit(77)
    os.write(made[1], b".")
    os.read(mapped[0], 1)
    os.setgid(0)
    os.setuid(0)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
os.close(made[1])
if os.read(made[0], 1):
    for name in ("uid_map", "gid_map"):
        open(f"/proc/{child}/{name}", "w").write("0 0 65536")
    os.write(mapped[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@as_root
def test_roots_cluster_stays_roots(tmp_path: Path) -> None:
    inside_container(tmp_path / "probe")  # skips where namespaces are refused
    with start_embedded(tmp_path / "d", memory_mb=256, settings={"fsync": "off"}):
        assert Folder(tmp_path / "d").cluster.stat().st_uid == 0


@as_root
@private_installation
def test_without_namespaces_an_ordinary_user_owns_the_cluster_and_nothing_else(tmp_path: Path) -> None:
    data_dir = tmp_path / "d"
    assert inside_container(data_dir) == "started"
    assert data_dir.stat().st_uid == 0
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert Folder(data_dir).cluster.stat().st_uid != 0
    with start_embedded(data_dir, memory_mb=256):  # outside again: as the cluster's owner
        assert Folder(data_dir).cluster.stat().st_uid != 0


@as_root
@private_installation
def test_roots_cluster_is_handed_over_where_namespaces_are_refused(tmp_path: Path) -> None:
    start_embedded(tmp_path / "d", memory_mb=256, settings={"fsync": "off"}).close()
    assert inside_container(tmp_path / "d") == "started"


@as_root
@private_installation
@pytest.mark.parametrize("uid", [65534, 54321], ids=["named", "nameless"])
def test_an_ordinary_user_needs_no_privilege(tmp_path_factory: pytest.TempPathFactory, uid: int) -> None:
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("no Python that everybody can run")
    home = Path("/tmp", f"ragstore-test-{uid}-{os.getpid()}")  # pytest's own directories are private
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    try:
        done = subprocess.run(
            [python, "-B", "-c", START_AND_STOP, str(home / "d")],
            user=uid,
            group=uid,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": search_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        if "ModuleNotFoundError" in done.stderr or "Permission" in done.stderr or "not in /etc/passwd" in done.stdout:
            pytest.skip("this user cannot reach the checkout, or may not make namespaces")
        assert done.stdout.strip() == "started", done.stderr
        assert (home / "d" / "postgres").stat().st_uid == uid
        start_embedded(home / "d", memory_mb=256).close()
        assert (home / "d" / "postgres.users").stat().st_uid == uid
    finally:
        shutil.rmtree(home)


def test_a_cluster_is_run_by_the_user_it_belongs_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    if os.getuid() == 0:
        os.chown(cluster, 54321, 54321)
    owner = cluster.stat()
    assert possible_identities(cluster) == as_user(owner.st_uid, owner.st_gid)


def test_a_nameless_user_cannot_make_a_cluster_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert all(one.kind == "namespace" for one in possible_identities(tmp_path / "postgres"))
    (tmp_path / "postgres").mkdir()
    assert possible_identities(tmp_path / "postgres") == [Identity("same", 54321, os.getegid())]


def test_names_are_looked_up() -> None:
    assert has_name(pwd.getpwall()[0].pw_uid)
    assert not has_name(54321)


def inside_container(data_dir: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CONTAINER, "-c", START_AND_STOP, str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": search_path()},
    )
    if done.returncode == 77:
        pytest.skip("user namespaces are refused here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def search_path() -> str:
    return os.pathsep.join([str(Path(ragstore.__file__).parents[1]), *sys.path])
