"""Whatever a file does to its reader, it is the failure of that file only."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstore.errors import FileDamaged, FileEncrypted, FileTooDemanding, RagstoreError, Unavailable
from ragstore.parsing.supervisor import Parser, ParserOptions
from tests.parsing.samples import make_encrypted_pdf, make_pdf, make_pdf_bomb

TENANT, OTHER = uuid.uuid4(), uuid.uuid4()
HOSTILE = "tests.parsing.hostile_child"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def parser() -> AsyncIterator[Parser]:
    parser = Parser(ParserOptions(memory_mb=1024, timeout=20))
    yield parser
    await parser.close()


@pytest.fixture
async def hostile(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parser]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    parser = Parser(ParserOptions(memory_mb=1024, timeout=1.5, module=HOSTILE))
    yield parser
    await parser.close()


async def test_a_child_reads_one_file_after_another(parser: Parser) -> None:
    pids = set()
    for number in range(3):
        parsed = await parser.parse(TENANT, "a.pdf", make_pdf([[(11, f"words {number}")]]))
        assert parsed.content == f"words {number}"
        pids.add(parser.idle[0].process.pid)
    with pytest.raises(FileEncrypted):
        await parser.parse(TENANT, "a.pdf", make_encrypted_pdf())
    assert {parser.idle[0].process.pid} == pids
    assert len(pids) == 1


async def test_a_bomb_is_stopped_and_the_next_file_is_read(parser: Parser) -> None:
    bomb = make_pdf_bomb(900 * 1024 * 1024)
    assert len(bomb) < 10_000
    with pytest.raises(FileTooDemanding):
        await parser.parse(TENANT, "a.pdf", bomb)
    assert (await parser.parse(TENANT, "a.txt", b"words")).content == "words"


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("abort", FileTooDemanding),
        ("segfault", FileDamaged),
        ("exit", FileDamaged),
        ("hang", FileTooDemanding),
        ("spin", FileTooDemanding),
        ("eat", FileTooDemanding),
    ],
)
async def test_a_reader_that_is_brought_down_is_replaced(
    hostile: Parser, deed: str, error: type[RagstoreError]
) -> None:
    with pytest.raises(error):
        await hostile.parse(TENANT, "a.txt", deed.encode())
    assert (await hostile.parse(TENANT, "a.txt", b"words")).content == "words"


async def test_nothing_is_written_to_the_disk(hostile: Parser, tmp_path: Path) -> None:
    target = tmp_path / "written"
    assert (await hostile.parse(TENANT, str(target), b"write")).content == "File too large"
    assert target.stat().st_size == 0


async def test_what_a_library_prints_is_no_answer(hostile: Parser) -> None:
    assert (await hostile.parse(TENANT, "a.txt", b"print")).content == "print"


async def test_no_child_serves_two_tenants_or_knows_secrets(hostile: Parser) -> None:
    first, again, other = [(await hostile.parse(who, "a", b"pid")).content for who in (TENANT, TENANT, OTHER)]
    assert first == again != other
    assert "OPENAI" not in first


async def test_one_that_hangs_does_not_hold_up_the_others(hostile: Parser) -> None:
    stuck = asyncio.create_task(hostile.parse(TENANT, "a", b"hang"))
    good = [await hostile.parse(TENANT, "a", f"words {number}".encode()) for number in range(10)]
    assert not stuck.done()
    assert len(good) == 10
    with pytest.raises(FileTooDemanding, match=r"1\.5 seconds"):
        await stuck


async def test_whoever_gives_up_leaves_no_child_at_work(hostile: Parser) -> None:
    task = asyncio.create_task(hostile.parse(TENANT, "a", b"hang"))
    async with asyncio.timeout(20):
        while not hostile._busy:  # noqa: ASYNC110  # nobody else needs to know
            await asyncio.sleep(0.01)
    (child,) = hostile._busy
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.process.returncode is not None


async def test_a_child_that_does_not_start_is_told(parser: Parser) -> None:
    broken = Parser(ParserOptions(module="tests.parsing.no_such_module"))
    with pytest.raises(Unavailable):
        await broken.parse(TENANT, "a.txt", b"words")
    await broken.close()


async def test_children_die_with_their_parent(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, signal, uuid\n"
        "from ragstore.parsing.supervisor import Parser\n"
        "async def main():\n"
        "    parser = Parser()\n"
        "    await parser.parse(uuid.uuid4(), 'a.txt', b'words')\n"
        "    print(parser.idle[0].process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], env=environment, capture_output=True, timeout=60
    )
    child = int(done.stdout)
    for _ in range(200):
        if not is_alive(child):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the child outlived its parent")


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
