import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "chunking.md"


def test_the_examples_of_the_page_are_true() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)\n```\n", PAGE.read_text(), re.DOTALL))
    said: list[str] = []
    example = doctest.DocTestParser().get_doctest(code, {}, PAGE.name, str(PAGE), 0)
    results = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert results.failed == 0, "".join(said)
    assert results.attempted > 10
