"""Every code that the program gives has a test that wants it."""

import re
from pathlib import Path

import pytest

from overwinter.model import errors
from tests.codebook.test_book import error_classes

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

#: What tests are made of, but for those of the book, which name every code.
TESTS = "\n".join(
    path.read_text()
    for folder in ("tests", "testkit")
    for suffix in ("py", "json")
    for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))
    if HERE not in path.parents
)

CODES = {
    code: {kind.__name__ for kind in error_classes(errors.OverwinterError) if kind.code == code}
    for code in {kind.code for kind in error_classes(errors.OverwinterError)}
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_wanted_by_a_test(code: str) -> None:
    names = "|".join(re.escape(name) for name in {code, *CODES[code]})
    assert re.search(rf"\b({names})\b", TESTS), f"no test names {code} or {CODES[code]}"
