"""Structured logs: one line an event, one line a request, each with the request's id. Never a document's text."""

import logging
import re
import sys
import time
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ragstore.settings import Settings

USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
QUIET_PATHS = ("/health/", "/metrics")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
access_log = structlog.get_logger("ragstore.access")


def read_request_id() -> str | None:
    return request_id.get()


def add_request_id(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    if (current := request_id.get()) is not None:
        event["request_id"] = current
    return event


def configure_logs(settings: Settings) -> None:
    """To standard error, so that a command's output stays its own."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    # A plain traceback: the pretty one prints local variables, and with them documents and keys.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    render: Any = plain if console else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        add_request_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever it is when the line is written
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))  # of libraries only what matters: httpx2 tells of every call at INFO


def log_requests(next_app: ASGIApp) -> ASGIApp:
    """Gives each request its id (or takes the caller's `X-Request-ID`) and writes one line when it is answered.

    Wraps the whole application, so that what is refused before any route is found is logged too.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await next_app(scope, receive, send)
            return
        current = choose_request_id(scope)
        token = request_id.set(current)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders(message)["X-Request-ID"] = current
            await send(message)

        try:
            await next_app(scope, receive, send_with_id)
        finally:
            write_line(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    return handle


def choose_request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if USABLE_ID.fullmatch(given) else uuid4().hex


def write_line(scope: Scope, status: int, seconds: float) -> None:
    if not scope["path"].startswith(QUIET_PATHS):
        access_log.info(
            "request", method=scope.get("method"), path=scope["path"], status=status, ms=round(seconds * 1000, 2)
        )
