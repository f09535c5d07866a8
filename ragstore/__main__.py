"""`python -m ragstore` is `ragstore`."""

from ragstore.cli import app

if __name__ == "__main__":
    app(prog_name="ragstore")
