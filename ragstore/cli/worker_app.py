"""What granian loads in each worker process of `ragstore serve`."""

import multiprocessing
import os
import sys

from litestar import Litestar

from ragstore.app import create_app
from ragstore.cli.orphans import end_with_parent
from ragstore.cli.signals import note_sigterm
from ragstore.logs import configure_logs
from ragstore.settings import load_settings


def create_worker_app() -> Litestar:
    settings = load_settings()
    configure_logs(settings)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with_parent(parent.pid, settings.shutdown_timeout)
    if sys.platform != "win32":
        os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the parent only, which then stops its workers in order
    app = create_app(settings)
    app.on_startup.append(lambda: note_sigterm(app.state.ragstore.stopping.set))
    return app
