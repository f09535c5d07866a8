"""Where the text of a document comes from, when it was read out of a file. Pure."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """`page_starts[i]` is the offset, in code points of the document's content, at which page i + 1 begins; empty for
    what has no pages. `markdown`: headings are read from the content.
    """

    file_id: uuid.UUID
    page_starts: Sequence[int] = ()
    markdown: bool = True
