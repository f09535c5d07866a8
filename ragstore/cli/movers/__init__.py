"""Stores of others, brought here: each source is one small file, all with the protocol of `source.py`."""
