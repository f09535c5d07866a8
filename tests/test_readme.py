"""README's calls, run as printed against a service started as printed."""

import os
import re
import subprocess
from pathlib import Path

import msgspec

from ragstore.cli.child import run_child
from ragstore.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def read_calls() -> str:
    (block,) = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    return str(block)


def test_every_call_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path / ".ragstore", "log_level": "warning"})
    with run_child(settings) as address:
        script = read_calls().replace("http://127.0.0.1:8000", address.url)
        assert script.count("\napi ") == 7
        done = subprocess.run(
            ["bash", "-eu", "-c", script.replace("\napi ", "\necho; api ")],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [msgspec.json.decode(line) for line in done.stdout.splitlines() if line.strip()]
    assert answers[0]["name"] == "handbook"
    assert [one["status"] for one in answers[1]["results"]] == ["created", "created"]
    assert answers[2]["hits"][0]["document_key"] == "leave.md"
    (phrase,) = answers[3]["hits"]
    assert [phrase["content"][start:end] for start, end in phrase["highlights"]] == ["paid leave"]
    assert answers[-1] == [
        {"role": "user", "content": "How many days off do I have?"},
        {"role": "assistant", "content": "Thirty."},
    ]
