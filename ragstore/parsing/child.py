"""The process that reads strangers' files, one after another, until its parent has no more or is gone.

    python -m ragstore.parsing.child MEMORY_MB PARENT_PID

It has little memory, no files to write, no environment worth stealing, and waits for everybody else's work.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from typing import BinaryIO

from ragstore.errors import FILE_ERRORS, FileTooDemanding, FileUnsupported
from ragstore.parsing.extraction import load
from ragstore.parsing.protocol import READY, Answer, Refusal, read_question, to_frame
from ragstore.parsing.reading import read_file

NICENESS = 10
PR_SET_PDEATHSIG = 1
OPEN_FILES = 64


def main() -> None:
    memory_mb, parent = int(sys.argv[1]), int(sys.argv[2])
    end_with_parent(parent)
    questions, answers = take_pipes()
    confine(memory_mb)
    with contextlib.suppress(FileUnsupported):  # then only what needs no extra is read
        load()
    with contextlib.suppress(EOFError, BrokenPipeError):
        answers.write(READY)
        answers.flush()
        while True:
            answer(questions, answers)


def end_with_parent(parent: int) -> None:
    """Elsewhere than on Linux it ends when it has answered and finds nobody asking."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """What a library prints must not get into the answers."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return questions, answers


def confine(memory_mb: int) -> None:
    os.nice(NICENESS)
    limits = {
        resource.RLIMIT_AS: memory_mb * 1024 * 1024,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }
    for limit, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(limit, (most, most))


def answer(questions: BinaryIO, answers: BinaryIO) -> None:
    try:
        question, data = read_question(questions)
        allow_seconds(question.seconds)
        frame = to_frame(Answer(parsed=read_file(question.name, data)))
    except FILE_ERRORS as error:
        frame = to_frame(Answer(refusal=Refusal(error.slug, error.detail)))
    except MemoryError:
        refusal = Refusal(FileTooDemanding.slug, "Reading the file takes more memory than is allowed.")
        frame = to_frame(Answer(refusal=refusal))
    answers.write(frame)
    answers.flush()


def allow_seconds(seconds: float) -> None:
    """Of CPU, from now on: the limit counts all that the process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 2  # the parent's clock should be first
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


if __name__ == "__main__":
    main()
