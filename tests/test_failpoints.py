import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstore import failpoints
from ragstore.errors import ConfigurationError
from ragstore.failpoints import VARIABLE, Failpoint, InjectedFault, arm, failpoint


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_without_the_variable_nothing_happens() -> None:
    assert failpoints.source is None
    failpoint(Failpoint.BEFORE_COMMIT)


def test_the_pass_that_was_named_fails_and_no_other() -> None:
    arm("before_commit=raise@3")
    failpoint(Failpoint.BEFORE_COMMIT)
    failpoint(Failpoint.AFTER_COMMIT)
    failpoint(Failpoint.BEFORE_COMMIT)
    with pytest.raises(InjectedFault, match="before_commit"):
        failpoint(Failpoint.BEFORE_COMMIT)
    failpoint(Failpoint.BEFORE_COMMIT)


def test_a_chance_strikes_about_as_often_as_it_says() -> None:
    arm("counted=raise@0.25")
    struck = 0
    for _ in range(1000):
        try:
            failpoint(Failpoint.COUNTED)
        except InjectedFault:
            struck += 1
    assert 150 < struck < 350


@pytest.mark.parametrize(
    "text", ["nowhere=kill", "before_commit=explode", "before_commit", "counted=sleep", "a=raise@x"]
)
def test_what_is_no_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=VARIABLE):
        arm(text)


def test_a_file_arms_a_process_that_runs_and_says_what_was_passed(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    arm(f"@{file}")
    failpoint(Failpoint.VALIDATED)
    file.write_text("embedded=raise")
    failpoint(Failpoint.VALIDATED)
    with pytest.raises(InjectedFault):
        failpoint(Failpoint.EMBEDDED)
    file.write_text("")
    failpoint(Failpoint.EMBEDDED)
    said = (tmp_path / "rules.log").read_text().splitlines()
    assert said == ["passed validated", "passed embedded", "fired embedded"]


def test_kill_leaves_no_time_to_clean_up() -> None:
    program = (
        "from ragstore.failpoints import Failpoint, failpoint\n"
        "try:\n    failpoint(Failpoint.JOB_CLAIMED)\nfinally:\n    print('cleaned up')\n"
    )
    environment = os.environ | {VARIABLE: "job_claimed=kill"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-9, b"")
