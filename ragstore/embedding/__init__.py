"""Texts to vectors and binary codes. Knows no database and no web framework."""
