"""As whom Postgres runs: it refuses to be root.

Root enters a user namespace in which root's own files belong to an ordinary user: nothing on disk changes.
Where namespaces are refused (most containers) Postgres becomes an existing unprivileged user, which then owns the
cluster, and keeps root's right to pass directories only if it cannot reach its files otherwise.
"""

import ctypes
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

if sys.platform != "win32":
    import pwd

NEW_USER_NAMESPACE = 0x10000000
CAPABILITY_VERSION = 0x20080522
KEEP_CAPABILITIES, AMBIENT_CAPABILITY, AMBIENT_RAISE = 8, 47, 2
PASS_DIRECTORIES = 1  # CAP_DAC_OVERRIDE; containers do not grant the narrower CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Identity:
    kind: Literal["same", "namespace", "user", "user with root's reach"]
    uid: int
    gid: int

    @property
    def owns_files(self) -> bool:
        return self.kind in ("user", "user with root's reach")


def choose_identity(postgres: Path, cluster: Path) -> Identity | None:
    """The first identity that can run Postgres and reach the data directory."""
    return next((one for one in possible_identities(cluster) if can_run(one, postgres, cluster.parent)), None)


def possible_identities(cluster: Path) -> list[Identity]:
    """initdb looks its user up by uid, so only an existing cluster may belong to a nameless one."""
    made = cluster.exists()
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return [Identity("same", uid, gid)] if made or has_name(uid) else namespaces()
    owner = (cluster if made else cluster.parent).stat()
    if owner.st_uid != 0 and (made or has_name(owner.st_uid)):
        return as_user(owner.st_uid, owner.st_gid)
    entry = ordinary_user()
    return namespaces() + as_user(entry.pw_uid, entry.pw_gid)


def as_user(uid: int, gid: int) -> list[Identity]:
    return [Identity("user", uid, gid), Identity("user with root's reach", uid, gid)]


def has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def namespaces() -> list[Identity]:
    entry = ordinary_user()
    return [Identity("namespace", entry.pw_uid, entry.pw_gid)] if sys.platform == "linux" else []


def ordinary_user() -> "pwd.struct_passwd":
    entries = [entry for entry in pwd.getpwall() if entry.pw_uid > 0 and entry.pw_gid > 0]
    return min(entries, key=lambda entry: (entry.pw_name != "nobody", entry.pw_name != "daemon", entry.pw_uid))


def can_run(identity: Identity, postgres: Path, data_dir: Path) -> bool:
    def start_there() -> None:
        become(identity)
        os.chdir(data_dir)

    try:
        return (
            subprocess.run(  # noqa: S603 - our own binary
                [postgres, "--version"], preexec_fn=start_there, capture_output=True, timeout=30, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def become(identity: Identity) -> None:
    """Runs in the child between fork and exec."""
    if identity.kind == "namespace":
        enter_namespace(identity.uid, identity.gid)
    elif identity.owns_files:
        become_user(identity)


def enter_namespace(uid: int, gid: int) -> None:
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    check(ctypes.CDLL(None, use_errno=True).unshare(NEW_USER_NAMESPACE))
    for file, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outside_uid} 1"),
        ("gid_map", f"{gid} {outside_gid} 1"),
    ):
        Path("/proc/self", file).write_text(content)


def become_user(identity: Identity) -> None:
    keeps_reach = identity.kind == "user with root's reach"
    system = ctypes.CDLL(None, use_errno=True)
    if keeps_reach:
        check(system.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(identity.gid)
    os.setuid(identity.uid)
    if keeps_reach:
        only = 1 << PASS_DIRECTORIES
        check(system.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), struct.pack("6I", only, only, only, 0, 0, 0)))
        check(system.prctl(AMBIENT_CAPABILITY, AMBIENT_RAISE, PASS_DIRECTORIES, 0, 0))


def check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def give(folder: Path, identity: Identity) -> None:
    """Makes the identity the owner of all in this folder, if it is another user."""
    if not identity.owns_files or folder.stat().st_uid == identity.uid:
        return
    for path, _, files in os.walk(folder, topdown=False):
        for name in (*files, "."):
            os.lchown(os.path.join(path, name), identity.uid, identity.gid)
