"""Statements of our own on the driver itself, past SQLAlchemy, where every search would pay for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn
from sqlmodel.ext.asyncio.session import AsyncSession

RawConnection = Any  # asyncpg.Connection: generic to a type checker, not when it runs
DRIVER = "driver"  # where a session keeps its connection


LONGEST_REMEMBERED = 16_384
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


def number_parameters(statement: str) -> tuple[str, tuple[str, ...]]:
    """`:name` becomes `$1`, as asyncpg wants it; with the names in that order."""
    remembered = len(statement) <= LONGEST_REMEMBERED  # a filter may be of any length
    return (number_and_remember if remembered else number_and_remember.__wrapped__)(statement)


@lru_cache(maxsize=512)
def number_and_remember(statement: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(PARAMETER.findall(statement)))
    places = {name: f"${place}" for place, name in enumerate(names, 1)}
    return PARAMETER.sub(lambda found: places[found[1]], statement), names


@dataclass(frozen=True)
class Reading:
    """A transaction in which statements are fetched, and nothing else is done."""

    connection: RawConnection


AnySession = AsyncSession | Reading


async def fetch(session: AnySession, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """The rows of a statement with `:name` parameters."""
    connection = session.connection if isinstance(session, Reading) else session.info[DRIVER]
    sql, names = number_parameters(statement)
    rows: list[Any] = await connection.fetch(sql, *[parameters[name] for name in names])
    return rows


async def write(session: AsyncSession, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """The statement once for each row, whose values it names `$1`, `$2`, …; sent in one go. JSON is given as text."""
    if rows:
        await session.info[DRIVER].executemany(statement, rows)


class Lease(Protocol):
    """A connection of the pool, for one transaction. `take` may be called again after `give_back`."""

    async def take(self) -> RawConnection: ...

    async def give_back(self) -> None: ...


class SessionLease:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def take(self) -> RawConnection:
        self.session = AsyncSession(self.engine, expire_on_commit=False)
        return (await (await self.session.connection()).get_raw_connection()).driver_connection

    async def give_back(self) -> None:
        await self.session.close()


class RawLease:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.pooled: Any = None

    async def take(self) -> RawConnection:
        self.pooled = await self.engine.raw_connection()
        return self.pooled.driver_connection

    async def give_back(self) -> None:
        if self.pooled is not None:
            await greenlet_spawn(self.pooled.close)
            self.pooled = None
