"""Kills the service, its worker and Postgres at random while documents are written, and looks for what was lost."""
