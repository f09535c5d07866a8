import asyncio
import os
import signal
from typing import Annotated

import typer

from ragstore.settings import Settings, load_settings


def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=256, help="Jobs at once. Unset: RAGSTORE_JOB_CONCURRENCY.")
    ] = None,
) -> None:
    """Run background jobs until Ctrl-C, beside those that `ragstore serve` runs itself.

    Needs RAGSTORE_DATABASE_URL, and the same settings as the service. Any number may run, on any machines.

    Example: `RAGSTORE_DATABASE_URL=postgresql://… ragstore worker`
    """
    from ragstore.logs import configure_logs  # noqa: PLC0415 - as for serve

    settings = load_settings()
    configure_logs(settings)
    values = {"run_jobs": True} | ({"job_concurrency": concurrency} if concurrency else {})
    asyncio.run(run_until_told(settings.model_copy(update=values)))


async def run_until_told(settings: Settings) -> None:
    from ragstore.app import make_state, run_state  # noqa: PLC0415 - as for serve
    from ragstore.cli.preparation import explain_refusals  # noqa: PLC0415

    state = make_state(settings)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if state.stopping.is_set():
            os._exit(1)  # told twice: what it held is claimed again when the leases run out
        state.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    with explain_refusals():
        async with run_state(state):
            await state.stopping.wait()
