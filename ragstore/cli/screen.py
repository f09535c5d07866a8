"""Where commands write: answers to standard output, all else to standard error."""

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str = "", *, style: str | None = None) -> None:
    """A line as it is: not wrapped, so that it can be copied, and without markup."""
    out.print(text, style=style, soft_wrap=True, markup=False)
