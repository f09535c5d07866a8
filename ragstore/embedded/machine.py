"""What the machine, or the container this process is in, has to give."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024
UNKNOWN_MEMORY = 4096


@dataclass(frozen=True)
class Machine:
    """`shared_mb` is the size of /dev/shm, None where the system has no such thing."""

    memory_mb: int
    processors: int
    shared_mb: int | None


def inspect_machine() -> Machine:
    return Machine(memory_mb(), processor_count(), shared_memory_mb())


def memory_mb() -> int:
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    except (ValueError, OSError):
        physical = UNKNOWN_MEMORY
    return min([physical, *control_group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def control_group_limits(membership: Path, root: Path) -> Iterator[int]:
    """Limits of every group above this process, versions 1 and 2, in MB."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        inside = base / group.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder.is_relative_to(base):
                yield from read_limit(folder / name)


def read_limit(file: Path) -> Iterator[int]:
    try:
        yield max(1, int(file.read_text()) // MEGABYTE)
    except (OSError, ValueError):  # no such group here, or "max"
        return


def processor_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shared_memory_mb() -> int | None:
    try:
        usage = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size only
    except OSError:
        return None
    return usage.f_blocks * usage.f_frsize // MEGABYTE
