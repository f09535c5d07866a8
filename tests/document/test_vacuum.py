import asyncio

import httpx
from sqlalchemy import text

from ragstore.database import Database
from tests.builders import make_collection, upsert


async def test_rows_are_vacuumed_soon_after_an_import(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{number}", "content": f"passage {number}"} for number in range(600)])
    async with database.engine.connect() as connection:
        for _ in range(100):
            visible, pages = (
                await connection.execute(
                    text("SELECT relallvisible, relpages FROM pg_class WHERE oid = 'embedding'::regclass")
                )
            ).one()
            await connection.rollback()
            if pages and visible == pages:
                break
            await asyncio.sleep(0.1)
    assert visible == pages > 0
