"""Talking to a ragstore over HTTP, typed. Needs neither the web framework nor a database library."""

from ragstore.client.api import Client
from ragstore.client.faults import RagstoreClientError
from ragstore.client.location import ServiceAddress, find_service

__all__ = ["Client", "RagstoreClientError", "ServiceAddress", "find_service"]
