"""A folder of judged queries as BEIR lays it out: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ragstore.errors import ConfigurationError

TREC_COLUMNS = 4


class Query(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str


@dataclass(frozen=True)
class Judged:
    name: str
    corpus: Path
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_judged(folder: Path) -> Judged:
    """Only queries with a relevant document are kept. Raises ConfigurationError naming the file and line."""
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise ConfigurationError(f"{folder} has no {name}: eval reads a folder in the layout of BEIR.")
    qrels = read_qrels(find_qrels(folder))
    judged = {query: grades for query, grades in qrels.items() if any(grade > 0 for grade in grades.values())}
    texts = read_queries(folder / "queries.jsonl")
    if missing := sorted(set(judged) - set(texts)):
        raise ConfigurationError(f"{folder}: qrels name queries that are not there, such as {missing[0]}.")
    if not judged:
        raise ConfigurationError(f"{folder}: no query has a relevant document.")
    queries = {query: texts[query] for query in judged}
    return Judged(folder.resolve().name, folder / "corpus.jsonl", queries, judged)


def find_qrels(folder: Path) -> Path:
    for name in ("qrels.tsv", "qrels/test.tsv"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(f"{folder} has no qrels.tsv: eval reads a folder in the layout of BEIR.")


def read_queries(path: Path) -> dict[str, str]:
    decoder = msgspec.json.Decoder(Query)
    queries = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    query = decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise ConfigurationError(f"{path}:{number}: {error}") from None
                queries[query.id] = query.text
    return queries


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Three columns (a header is passed over) or the four of TREC."""
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            columns = [column.strip() for column in (line.split("\t") if "\t" in line else line.split())]
            if not any(columns):
                continue
            try:
                document = columns[2] if len(columns) == TREC_COLUMNS else columns[1]
                qrels[columns[0]][document] = int(float(columns[-1]))
            except (IndexError, ValueError):
                if number > 1:
                    raise ConfigurationError(f"{path}:{number}: is not query, document, grade") from None
    return qrels
