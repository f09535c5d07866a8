"""Texts and queries to index terms, and their BM25 scores. Knows no database and no web framework."""
