"""`Dockerfile` and `compose.yaml`, as far as they can be checked where no container runs."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragstore.cli.child import run_in
from ragstore.client import Client
from ragstore.embedded import start_embedded
from ragstore.embedded.binaries import find_binaries
from ragstore.embedded.server import EmbeddedServer
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.settings import Settings
from ragstore.testing.postgres import IMAGE
from tests.cli.processes import environment

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
SECRETS = {"POSTGRES_PASSWORD": "p", "OWNER_PASSWORD": "o1", "APP_PASSWORD": "a1", "RAGSTORE_ADMIN_KEY": "sesame"}


def read_instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def read_compose(values: dict[str, str]) -> dict[str, Any]:
    """With `${NAME:-default}` and `${NAME:?complaint}` filled in, as compose does before it reads."""

    def fill(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if values.get(name):
            return values[name]
        if operator != ":-":
            raise KeyError(f"{name}: {word}")
        return str(word)

    text = re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", fill, (ROOT / "compose.yaml").read_text())
    found: dict[str, Any] = yaml.safe_load(text)
    return found


SERVICES: dict[str, dict[str, Any]] = read_compose(SECRETS)["services"]


def list_variables() -> set[str]:
    fields = Settings.model_fields.items()
    return {str(field.validation_alias or f"RAGSTORE_{name.upper()}") for name, field in fields}


def test_every_source_of_the_image_is_there_and_sent_to_the_engine() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [shlex.split(one) for one in read_instructions("COPY") if not one.startswith("--from=")]
    sources = {source for copy in copies for source in copy[:-1]}
    assert sources == allowed
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_installs_what_is_pinned_and_compiles_nothing() -> None:
    installs = [part for one in read_instructions("RUN") for part in one.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert [one for one in installs if "-c constraints.txt" not in one and "--no-deps" not in one] == []
    assert any("--only-binary :all:" in one for one in installs)


def test_the_image_runs_a_supported_python_as_an_ordinary_user() -> None:
    pythons = {re.fullmatch(r"python:(3\.\d+)-slim( AS build)?", one) for one in read_instructions("FROM")}
    (version,) = {one[1] for one in pythons if one}
    assert None not in pythons
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert read_instructions("USER") == ["ragstore"]


def test_commands_are_lists_so_that_signals_arrive() -> None:
    for name in ("ENTRYPOINT", "CMD"):
        (found,) = read_instructions(name)
        assert isinstance(json.loads(found), list)
    assert read_instructions("STOPSIGNAL") == ["SIGTERM"]


def test_compose_refuses_to_start_without_each_secret() -> None:
    for name in SECRETS:
        with pytest.raises(KeyError, match=name):
            read_compose({key: value for key, value in SECRETS.items() if key != name})


def test_compose_sets_what_ragstore_knows_and_mounts_what_is_there() -> None:
    names = {name for key, one in SERVICES.items() if key != "database" for name in one["environment"]}
    assert names <= list_variables()
    for volume in SERVICES["database"]["volumes"]:
        source = volume.split(":")[0]
        assert source == "database" or (ROOT / source).is_file()
    assert SERVICES["database"]["image"] == IMAGE
    assert {name for one in SERVICES.values() for name in one.get("depends_on", {})} <= set(SERVICES)


def test_the_service_in_compose_knows_only_the_login_that_owns_nothing() -> None:
    assert "RAGSTORE_OWNER_DATABASE_URL" not in SERVICES["api"]["environment"]
    assert "ragstore_login" in SERVICES["api"]["environment"]["RAGSTORE_DATABASE_URL"]
    assert all(one.get("read_only") for name, one in SERVICES.items() if name != "database")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A Postgres of its own: the roles of the file are the whole server's."""
    with start_embedded(tmp_path / "postgres", memory_mb=128, settings={"fsync": "off"}) as server:
        yield server


def make_environment(folder: Path, service: str, server: EmbeddedServer) -> dict[str, str]:
    """The environment of a service of compose.yaml, on this machine's Postgres."""
    values = {name: value for name, value in SERVICES[service]["environment"].items() if value is not None}
    there = f"@/ragstore?host={server.socket_dir}&port=5432"
    return environment(folder) | {name: value.replace("@database/ragstore", there) for name, value in values.items()}


def test_the_roles_the_migration_and_the_service_of_compose_work(tmp_path: Path, server: EmbeddedServer) -> None:
    psql = [
        str(find_binaries() / "psql"),
        "-h",
        str(server.socket_dir),
        "-U",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
        "-q",
    ]
    subprocess.run([*psql, "-c", "CREATE DATABASE ragstore"], check=True)
    roles = [*psql, "-d", "ragstore", "--no-psqlrc", "-f", str(ROOT / "deploy" / "roles.sql")]
    subprocess.run(roles, env=os.environ | SECRETS, check=True)
    for _ in range(2):  # `up` again migrates again
        command = [sys.executable, "-m", "ragstore", *SERVICES["migrate"]["command"]]
        subprocess.run(command, env=make_environment(tmp_path, "migrate", server), cwd=tmp_path, check=True)
    where = Settings(data_dir=tmp_path / "data")
    with run_in(make_environment(tmp_path, "api", server), where) as url, Client(url, "sesame") as client:
        client.ensure_collection("notes")
        client.upsert_documents("notes", [DocumentUpsert(key="a", content="Trains are booked in second class.")])
        assert client.search("notes", "travel by train").hits[0].document_key == "a"
        (check,) = re.findall(r"HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
        program = json.loads(check)[2].replace("http://127.0.0.1:8000", url)
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
        broken = program.replace("/health/ready", "/health/nowhere")
        assert subprocess.run([sys.executable, "-c", broken], capture_output=True, check=False).returncode == 1
