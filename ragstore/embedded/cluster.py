"""Making the cluster: once, and whole or not at all."""

import locale
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ragstore.embedded.folder import Folder
from ragstore.embedded.privileges import Identity, become, give
from ragstore.errors import ConfigurationError

SECONDS = 300
UNFINISHED = "postgres.new-"
# Word breaking asks the C library which characters are letters; plain C takes every non-ASCII one for a letter.
CHARACTER_TYPES = ("C.UTF-8", "en_US.UTF-8", "UTF-8", "C")


def make_cluster(folder: Folder, binaries: Path, identity: Identity, *, unsafe: bool = False) -> None:
    if folder.cluster.exists():
        return
    for left_over in folder.root.glob(UNFINISHED + "*"):
        shutil.rmtree(left_over, ignore_errors=True)
    # Never the same name twice: the initdb of a killed supervisor may still be writing.
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.root))
    give(unfinished, identity)
    command = [str(binaries / "initdb"), "-D", str(unfinished), *initdb_options(), *(["--no-sync"] if unsafe else [])]
    done = subprocess.run(  # noqa: S603 - our own binary
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: become(identity),
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        said = " | ".join(done.stdout.decode(errors="replace").strip().splitlines()[-5:])
        raise ConfigurationError(f"The embedded Postgres cannot make its files in {folder.root}: {said}")
    unfinished.rename(folder.cluster)
    write_down(folder.root)


def initdb_options() -> list[str]:
    return [
        "--username=postgres",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        f"--lc-ctype={character_type()}",
        "--text-search-config=english",
        "--auth=trust",
        "--no-instructions",
    ]


def character_type() -> str:
    for name in CHARACTER_TYPES:
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        return name
    return "C"


def write_down(folder: Path) -> None:
    """A rename survives a power failure only once its directory is synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
