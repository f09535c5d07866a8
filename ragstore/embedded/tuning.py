"""Settings of Postgres for a machine: pure arithmetic, done anew at every start."""

import sys

from ragstore.embedded.machine import Machine

FIXED = {
    "max_connections": "100",
    "jit": "off",
    "random_page_cost": "1.1",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # Index-only scans need the visibility map: vacuum soon after inserts, not only after deletes.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_insert_threshold": "1000",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
    # Statements and the details of constraint errors hold people's text: neither belongs into a log file.
    "log_min_error_statement": "panic",
    "cluster_name": "ragstore_embedded",  # the service knows by it whose Postgres this is
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}

# After a crash Postgres syncs all its files before it replays its log: one by one that takes as long as there are files
# (2 to 3 s for 1,500 on a busy disk), by one call for the whole file system 0.1 s.
RECOVERY = {"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}


def tune(machine: Machine, memory_mb: int | None = None) -> dict[str, str]:
    """`memory_mb` is what Postgres may use in all; None takes half of the machine's."""
    memory = memory_mb if memory_mb is not None else machine.memory_mb // 2
    maintenance = between(memory // 4, 32, 4096)
    megabytes = {
        "shared_buffers": between(memory // 4, 16, 8192),
        "effective_cache_size": max(memory * 3 // 4, 32),
        "maintenance_work_mem": maintenance,
        "autovacuum_work_mem": min(maintenance, 256),
        "work_mem": between(memory // 256, 4, 64),
        "max_wal_size": between(memory // 4, 512, 4096),
    }
    tuned = FIXED | {name: f"{size}MB" for name, size in megabytes.items()}
    return tuned | parallelism(machine.processors) | shared_memory(machine.shared_mb, maintenance) | RECOVERY


def parallelism(processors: int) -> dict[str, str]:
    return {
        "max_worker_processes": str(max(8, processors + 4)),
        "max_parallel_workers": str(processors),
        "max_parallel_workers_per_gather": str(min(2, processors // 2)),
        "max_parallel_maintenance_workers": str(between(processors - 1, 0, 4)),
    }


def shared_memory(shared_mb: int | None, maintenance_mb: int) -> dict[str, str]:
    """A parallel HNSW build keeps its graph, `maintenance_work_mem` large, in dynamic shared memory.

    Containers have 64 MB of /dev/shm; System V segments do not count against it.
    """
    if shared_mb is None or shared_mb >= maintenance_mb + 256:
        return {}
    return {"dynamic_shared_memory_type": "sysv"}


def between(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
