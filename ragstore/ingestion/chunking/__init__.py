"""Text to passages with exact offsets. Pure; takes real time for long texts, so it runs in a thread."""

from ragstore.ingestion.chunking.passages import find_too_long, make_prefix, split_texts

__all__ = ["find_too_long", "make_prefix", "split_texts"]
