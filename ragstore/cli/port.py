"""The port, ours before anything else is started."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ragstore.errors import ConfigurationError


@contextmanager
def reserve_port(host: str, port: int) -> Iterator[int]:
    """The port, or a free one for 0, that no other service has.

    Granian's workers bind with SO_REUSEPORT, and so would share a port with another ragstore without a word. This
    socket is bound exclusively, then opened to sharing: it never listens, the workers bind beside it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as reserved:
        try:
            bind(reserved, host, port)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such host"
            raise ConfigurationError(f"{host}:{port} cannot be used: {reason}. Choose another --port.") from None
        chosen = int(reserved.getsockname()[1])
        if sys.platform == "linux":
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            reserved.close()  # elsewhere granian binds once, exclusively
        yield chosen


def bind(reserved: socket.socket, host: str, port: int) -> None:
    """The second try is for a port whose last connections linger; with it alone, two that start could both bind."""
    try:
        reserved.bind((host, port))
    except OSError:
        if sys.platform == "win32":
            raise
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, port))
