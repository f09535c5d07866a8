"""Files are read in child processes: whatever a file does to its reader, it is the failure of that file only."""

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

import ragstore
from ragstore.errors import FileDamaged, FileTooDemanding, Unavailable
from ragstore.parsing.parsed import ParsedFile
from ragstore.parsing.protocol import LARGEST_ANSWER, LENGTH, READY, Answer, Question, to_error, to_frame

PIECE = 256 * 1024  # bytes written at once: the event loop has others to serve
MOST_FILES = 100  # of one child, whose memory only grows
IDLE_SECONDS = 60.0
START_SECONDS = 30.0
LONGEST_NAME = 255
KEPT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
FEW_THREADS = {"RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ParserOptions:
    memory_mb: int = 1024
    timeout: float = 60.0
    concurrency: int = 2
    module: str = "ragstore.parsing.child"


@dataclass(eq=False)
class Child:
    """It reads files of one tenant only: one that took it over learns nothing of others."""

    process: Process
    tenant_id: uuid.UUID
    files: int = 0
    retirement: asyncio.TimerHandle | None = None


@dataclass
class Parser:
    """Raises FILE_ERRORS for a file that cannot be read, Unavailable when no child can be started."""

    options: ParserOptions = ParserOptions()
    idle: list[Child] = field(default_factory=list)
    _room: asyncio.Semaphore | None = None
    _busy: set[Child] = field(default_factory=set)

    @property
    def has_room(self) -> bool:
        return self._room is None or not self._room.locked()

    async def parse(self, tenant_id: uuid.UUID, name: str, content: bytes) -> ParsedFile:
        if self._room is None:
            self._room = asyncio.Semaphore(self.options.concurrency)
        async with self._room:
            child = await self._take(tenant_id)
            try:
                parsed = await self._ask(child, name, content)
            except BaseException as error:
                if isinstance(error, Refused):
                    self._give_back(child)
                    raise error.cause from None
                await self._end(child)
                raise
            self._give_back(child)
            return parsed

    async def close(self) -> None:
        for child in [*self.idle, *self._busy]:
            await self._end(child)

    async def _take(self, tenant_id: uuid.UUID) -> Child:
        own = next((one for one in self.idle if one.tenant_id == tenant_id), None)
        if own is not None:
            self.idle.remove(own)
            if own.retirement is not None:
                own.retirement.cancel()
            if own.process.returncode is None:
                self._busy.add(own)
                return own
            await self._end(own)
        elif len(self.idle) + len(self._busy) >= self.options.concurrency and self.idle:
            await self._end(self.idle[0])
        child = Child(await self._start(), tenant_id)
        self._busy.add(child)
        return child

    async def _start(self) -> Process:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | FEW_THREADS
        roots = [str(Path(ragstore.__file__).parent.parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(one for one in roots if one)
        command = [sys.executable, "-P", "-m", self.options.module, str(self.options.memory_mb), str(os.getpid())]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, cwd="/", start_new_session=True
            )
        except OSError as error:
            raise Unavailable(f"No process could be started to read files: {error.strerror}.") from error
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        try:
            async with asyncio.timeout(START_SECONDS):
                await process.stdout.readexactly(len(READY))
        except BaseException as error:
            kill(process)
            if isinstance(error, asyncio.IncompleteReadError | TimeoutError):
                raise Unavailable("The process that should read files did not start.") from error
            raise
        return process

    async def _ask(self, child: Child, name: str, content: bytes) -> ParsedFile:
        child.files += 1
        question = Question(name[-LONGEST_NAME:], len(content), self.options.timeout)
        try:
            async with asyncio.timeout(self.options.timeout):
                answer = await exchange(child.process, question, content)
        except TimeoutError:
            raise FileTooDemanding(f"Reading the file takes more than {self.options.timeout:g} seconds.") from None
        except (ConnectionError, asyncio.IncompleteReadError):
            raise await explain_death(child.process) from None
        except msgspec.MsgspecError:
            raise FileDamaged("Reading the file gave no answer that makes sense.") from None
        if answer.parsed is None:
            raise Refused(to_error(answer.refusal)) if answer.refusal else FileDamaged()
        return answer.parsed

    def _give_back(self, child: Child) -> None:
        self._busy.discard(child)
        if child.files >= MOST_FILES:
            kill(child.process)
            return
        self.idle.append(child)
        child.retirement = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, child)

    def _retire(self, child: Child) -> None:
        if child in self.idle:
            self.idle.remove(child)
            kill(child.process)

    async def _end(self, child: Child) -> None:
        self._busy.discard(child)
        if child in self.idle:
            self.idle.remove(child)
        if child.retirement is not None:
            child.retirement.cancel()
        kill(child.process)
        await child.process.wait()


class Refused(Exception):
    """A child said no, and is none the worse for it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


async def exchange(process: Process, question: Question, content: bytes) -> Answer:
    """What is written waits for the child to read; it answers nothing before it has read everything."""
    assert process.stdin is not None  # noqa: S101  # pipes were asked for
    assert process.stdout is not None  # noqa: S101  # likewise
    process.stdin.write(to_frame(question))
    view = memoryview(content)
    for at in range(0, len(view), PIECE):
        process.stdin.write(view[at : at + PIECE])
        await process.stdin.drain()
    await process.stdin.drain()
    (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    if size > LARGEST_ANSWER:
        raise FileTooDemanding("The text of the file is too long.")
    body = await process.stdout.readexactly(size)
    return await asyncio.to_thread(msgspec.msgpack.decode, body, type=Answer)


async def explain_death(process: Process) -> Exception:
    """It aborts when memory runs out, and is killed when its seconds have; anything else is the file's doing too."""
    code = await process.wait()
    log.warning("a process that read a file died", code=code)
    if code in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT):
        return FileTooDemanding("Reading the file takes more memory or time than is allowed.")
    return FileDamaged("Reading the file brought its reader down.")


def kill(process: Process) -> None:
    """With whatever it may have started: it leads a group of its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
