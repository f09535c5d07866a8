"""Reads documents while they are replaced and everything is killed: what it gets must be whole."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from bench.crash.calls import DOCUMENTS, Connection
from bench.crash.model import Tally
from bench.stamped import Mixed, Piece, check_pieces

LIMIT = 200
REST_SECONDS = 0.02


@dataclass
class Reader:
    connection: Connection
    keys: Sequence[str]
    tally: Tally
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.chance = random.Random(0)
        self.thread = threading.Thread(target=self.run, name="reader", daemon=True)

    def run(self) -> None:
        while not self.stopping.wait(REST_SECONDS):
            key = self.chance.choice(self.keys)
            try:
                self.read(key)
            except Mixed as error:
                self.tally.accuse(f"a reader saw that {error}")
            except Exception as error:
                self.tally.accuse(f"reader: {error!r}")
                return
        self.connection.close()

    def read(self, key: str) -> None:
        found = self.connection.call("GET", f"{DOCUMENTS}?key={quote(key)}")
        if found is None or found.status != 200 or not found.json["items"]:
            return
        path = f"{DOCUMENTS}/{found.json['items'][0]['id']}/chunks?limit={LIMIT}"
        chunks = self.connection.call("GET", path)
        if chunks is None or chunks.status != 200:  # deleted by now
            return
        check_pieces(key, [Piece(one["content"], one["start"], one["end"]) for one in chunks.json["items"]])
        self.tally.count("documents read whole")
