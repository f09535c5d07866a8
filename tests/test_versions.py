from typing import Any, cast

import pytest
from sqlalchemy import Connection

from ragstore.errors import ConfigurationError
from ragstore.versions import check_versions


class Answers:
    """A connection whose server says it is of these versions."""

    def __init__(self, server: int, vector: str | None, cluster: str = "") -> None:
        self.row = (server, vector, cluster)

    def execute(self, statement: object) -> Any:
        return self

    def one(self) -> tuple[int, str | None, str]:
        return self.row


@pytest.mark.parametrize(("server", "vector"), [(150018, "0.8.5"), (180006, "0.8.3"), (180006, "0.7.0")])
def test_versions_too_old_are_refused(server: int, vector: str) -> None:
    with pytest.raises(ConfigurationError, match="or later"):
        check_versions(cast(Connection, Answers(server, vector)))


@pytest.mark.parametrize(("server", "vector"), [(160015, "0.8.4"), (180006, "0.8.10"), (190000, "1.0"), (180006, None)])
def test_versions_that_do_are_taken_in_silence(
    server: int, vector: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    check_versions(cast(Connection, Answers(server, vector)))
    assert capsys.readouterr().err == ""


def test_a_minor_release_with_a_known_hole_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    check_versions(cast(Connection, Answers(180004, "0.8.5")))
    assert "CVE-2026-14662" in capsys.readouterr().err
    check_versions(cast(Connection, Answers(180004, "0.8.5", "ragstore_embedded")))
    assert capsys.readouterr().err == ""
