"""The moment the port answers: others may be told the address."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from granian.server.common import AbstractServer

from ragstore.cli.screen import say
from ragstore.client.location import RunningServer, write_server_file

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - as somebody on this machine reaches it
PAUSE = 0.02
AnyServer = AbstractServer[Any]


def announce_when_ready(server: AnyServer, data_dir: Path) -> None:
    host = EVERYWHERE.get(server.bind_addr, server.bind_addr)
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.bind_port}"

    def announce() -> None:
        while len(server.wrks) < server.workers:  # no other work in this thread while the parent forks
            time.sleep(PAUSE)
        while not server.interrupt_signal and not answers(url):
            time.sleep(PAUSE)
        if server.interrupt_signal:
            return
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_server_file(data_dir, RunningServer(url, os.getpid()))
        say(f"ragstore is ready: {url}  (API docs {url}/schema, search page {url}/)")

    server.on_startup(threading.Thread(target=announce, daemon=True).start)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
