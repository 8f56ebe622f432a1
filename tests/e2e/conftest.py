from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.program import Program


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def program(request: pytest.FixtureRequest, image_directory: Path) -> Iterator[Program]:
    """A running service, on each database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    made = Program(image_directory / "overwinter", database=url)
    made.start()
    yield made
    made.stop()
