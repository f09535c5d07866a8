"""The calls about how well the service works."""

from ragstore.client.paths import Filter, collection_path, to_json
from ragstore.client.transport import Transport
from ragstore.doctor.schemas import ServiceReport
from ragstore.recall.schemas import RecallReport, Source


class OperationCalls:
    transport: Transport

    def read_recall(
        self,
        collection: str,
        *,
        samples: int = 20,
        top_k: int = 10,
        source: Source = "stored",
        seconds: float = 10,
        filter: Filter | None = None,
    ) -> RecallReport:
        """How much of the exact answer a search by vectors finds, measured on sampled queries. Takes up to `seconds`,
        which must be less than the client's `timeout`.
        """
        params = {"samples": samples, "top_k": top_k, "source": source, "seconds": seconds, "filter": to_json(filter)}
        return self.transport.call(RecallReport, "GET", f"{collection_path(collection)}/recall", params=params)

    def read_service_report(self) -> ServiceReport:
        """What an operator should know. Needs an admin key."""
        return self.transport.call(ServiceReport, "GET", "/v1/doctor")
