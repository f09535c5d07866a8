"""The calls of `docs/changing-models.md`, and the command, against a service of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ragstore.cli.child import run_child
from ragstore.settings import Settings
from tests.cli.processes import wait_until
from tests.reembedding.provider import run_provider

PAGE = Path(__file__).parents[2] / "docs" / "changing-models.md"


def read_calls() -> str:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


def test_the_calls_of_the_page_and_the_command_work_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_provider() as provider:
        for name, value in {
            "OPENAI_BASE_URL": provider,
            "OPENAI_API_KEY": "sk-test",
            "RAGSTORE_EMBEDDING_MODEL": "local",
            "RAGSTORE_OLD_VECTORS_GRACE": "0",
        }.items():
            monkeypatch.setenv(name, value)
        settings = Settings.model_validate({"data_dir": tmp_path / ".ragstore"})
        with run_child(settings) as address:
            key = str(address.api_key)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=address.url, headers=headers, trust_env=False) as client:
                client.post("/v1/collections", json={"name": "handbook"})
                documents = [{"key": f"{n}", "content": f"day off number {n}"} for n in range(12)]
                client.post("/v1/collections/handbook/documents", json={"documents": documents})
                script = read_calls().replace("http://127.0.0.1:8000", address.url).replace("NEW_MODEL", "narrow")
                environment = {"PATH": os.environ["PATH"], "KEY": key}
                subprocess.run(["bash", "-eu", "-c", script], env=environment, check=True, timeout=60)
                assert client.get("/v1/collections/handbook").json()["embedding_model"] == "narrow"
                wait_until(lambda: client.get("/v1/collections/handbook/reembed").json()["state"] == "none")
                done = run_command(tmp_path, address.url, key, "handbook", "--model", "local", "--watch")
                assert done.returncode == 0, done.stderr
                assert "handbook is searched with local" in done.stdout
                assert "both models agree on" in done.stdout
                assert "12 queries" in done.stdout
                wrong = run_command(tmp_path, address.url, key, "nothing", "--model", "local")
                assert wrong.returncode == 1
                assert "There is no collection named 'nothing'" in wrong.stderr


def run_command(folder: Path, url: str, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ragstore", "reembed", *arguments],
        cwd=folder,
        env={**os.environ, "RAGSTORE_URL": url, "RAGSTORE_API_KEY": key, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
