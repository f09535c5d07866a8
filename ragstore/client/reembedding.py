"""The calls that change a collection's embedding model."""

from collections.abc import Sequence

from ragstore.client.paths import collection_path
from ragstore.client.transport import Transport
from ragstore.reembedding.schemas import ReembedRead, ReembedStart, Switch


class ReembeddingCalls:
    transport: Transport

    def start_reembedding(
        self,
        collection: str,
        model: str,
        *,
        switch: Switch = "auto",
        keep_old: bool = True,
        queries: Sequence[str] = (),
    ) -> ReembedRead:
        """Answers at once; `read_reembedding` tells how far it is."""
        wanted = ReembedStart(model, switch, keep_old, list(queries))
        return self._reembed("POST", collection, body=wanted)

    def read_reembedding(self, collection: str) -> ReembedRead:
        return self._reembed("GET", collection)

    def give_up_reembedding(self, collection: str) -> ReembedRead:
        """Before the switch."""
        return self._reembed("DELETE", collection)

    def switch_model(self, collection: str) -> ReembedRead:
        return self._reembed("POST", collection, "/switch")

    def roll_back_model(self, collection: str) -> ReembedRead:
        return self._reembed("POST", collection, "/rollback")

    def finish_reembedding(self, collection: str) -> ReembedRead:
        """Drops the old model's vectors: there is no way back from here."""
        return self._reembed("POST", collection, "/finish")

    def _reembed(
        self, method: str, collection: str, step: str = "", *, body: ReembedStart | None = None
    ) -> ReembedRead:
        path = f"{collection_path(collection)}/reembed{step}"
        return self.transport.call(ReembedRead, method, path, body=body)
