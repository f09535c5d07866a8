"""What an idle service takes: memory of the service and of Postgres, and the size of the installation.

python -m bench.footprint
"""

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from bench.measure import Caller, run_bench


def list_processes() -> dict[int, tuple[int, int, str]]:
    """pid → (parent, proportional memory in bytes, command); shared pages are counted once."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            rollup = (folder / "smaps_rollup").read_text()
        except (OSError, IndexError):
            continue
        memory = next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        found[int(folder.name)] = (parent, memory, command)
    return found


def measure_tree(root: int) -> int:
    processes = list_processes()
    inside, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        inside += processes.get(pid, (0, 0, ""))[1]
        waiting += [child for child, (parent, _, _) in processes.items() if parent == pid]
    return inside


def find_supervisor(processes: dict[int, tuple[int, int, str]], data_dir: str) -> int:
    return next(pid for pid, (_, _, command) in processes.items() if "supervisor" in command and data_dir in command)


def measure_installation() -> int:
    site = Path(sysconfig.get_paths()["purelib"])
    done = subprocess.run(["du", "-sb", str(site)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def main() -> None:
    with run_bench() as bench:
        Caller(bench.address).call("POST", "/v1/collections", {"name": "bench"})
        time.sleep(3)
        processes = list_processes()
        service = measure_tree(os.getpid()) - processes[os.getpid()][1]
        supervisor = find_supervisor(processes, str(bench.data_dir))
        postgres = measure_tree(supervisor) - processes[supervisor][1]
    print(f"service (parent and one worker)  {service / 1e6:6.0f} MB")
    print(f"Postgres                         {postgres / 1e6:6.0f} MB")
    print(f"supervisor of Postgres           {processes[supervisor][1] / 1e6:6.0f} MB")
    print(f"site-packages of {Path(sys.prefix).name:<15} {measure_installation() / 1e6:6.0f} MB")


if __name__ == "__main__":
    main()
