"""A process that should not outlive another one: SIGKILL of a parent tells its children nothing."""

import os
import signal
import threading
import time

LOOK_SECONDS = 0.5


def end_with_parent(parent_pid: int, patience: float) -> None:
    """Gives this process SIGTERM when `parent_pid` is not its parent any more, and ends it `patience` s later."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()
