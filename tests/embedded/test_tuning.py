import sys
from pathlib import Path

from ragstore.embedded.machine import Machine, control_group_limits, inspect_machine
from ragstore.embedded.tuning import tune

LAPTOP = Machine(memory_mb=8192, processors=8, shared_mb=4096)
WORKSTATION = Machine(memory_mb=24_576, processors=2, shared_mb=12_288)


def test_half_of_the_machine_is_postgres_part_unless_told() -> None:
    assert tune(WORKSTATION)["shared_buffers"] == "3072MB"
    assert tune(WORKSTATION)["maintenance_work_mem"] == "3072MB"
    assert tune(LAPTOP)["shared_buffers"] == "1024MB"
    assert tune(LAPTOP, memory_mb=512)["shared_buffers"] == "128MB"


def test_the_least_memory_still_gives_settings_postgres_takes() -> None:
    tuned = tune(Machine(memory_mb=128, processors=1, shared_mb=64), memory_mb=64)
    assert tuned["shared_buffers"] == "16MB"
    assert tuned["work_mem"] == "4MB"
    assert tuned["max_parallel_maintenance_workers"] == "0"


def test_writes_are_never_traded_for_speed() -> None:
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & tune(LAPTOP).keys()


def test_a_small_dev_shm_is_not_used_for_parallel_builds() -> None:
    container = Machine(memory_mb=8192, processors=4, shared_mb=64)
    assert tune(container)["dynamic_shared_memory_type"] == "sysv"
    assert "dynamic_shared_memory_type" not in tune(LAPTOP)
    assert "dynamic_shared_memory_type" not in tune(Machine(memory_mb=8192, processors=8, shared_mb=None))


def test_container_limits_of_every_group_above_count(tmp_path: Path) -> None:
    membership, root = tmp_path / "cgroup", tmp_path / "fs"
    (root / "outer" / "inner").mkdir(parents=True)
    (root / "outer" / "memory.max").write_text("1073741824\n")
    (root / "outer" / "inner" / "memory.max").write_text("max\n")
    (root / "memory" / "box").mkdir(parents=True)
    (root / "memory" / "box" / "memory.limit_in_bytes").write_text("536870912\n")
    membership.write_text("4:memory:/box\n3:cpuset:/\n0::/outer/inner\n")
    assert sorted(control_group_limits(membership, root)) == [512, 1024]


def test_this_machine_can_be_inspected() -> None:
    machine = inspect_machine()
    assert machine.memory_mb > 0
    assert machine.processors > 0


def test_recovery_does_not_sync_file_by_file_where_one_call_does() -> None:
    expected = "syncfs" if sys.platform == "linux" else None
    assert tune(LAPTOP).get("recovery_init_sync_method") == expected
