"""Somebody who changes jobs in the database of a running service."""

import asyncio
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
from sqlalchemy.engine import make_url

from ragstore.embedded import start_embedded


class Bystander:
    def __init__(self, data_dir: Path) -> None:
        self._server = start_embedded(data_dir)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        url = make_url(self._server.__enter__().url).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.close()
        self._server.__exit__(kind, error, at)

    def add(self, kind: str) -> uuid.UUID:
        job_id = uuid.uuid4()
        self._run(
            "INSERT INTO job (tenant_id, id, kind, state, priority, attempts, max_attempts, fence)"
            f" SELECT id, '{job_id}', '{kind}', 'queued', 0, 0, 5, 0 FROM tenant WHERE name = 'default'"
        )
        return job_id

    def set(self, job_id: uuid.UUID, changes: str) -> None:
        self._run(f"UPDATE job SET {changes} WHERE id = '{job_id}'")

    def _run(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._url)
            await connection.execute(statement)
            await connection.close()

        self._runner.run(run())
