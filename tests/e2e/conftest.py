from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.ground import Ground
from tests.e2e.program import Program


@pytest.fixture
def program(image_directory: Path) -> Iterator[Program]:
    made = Program(image_directory / "overwinter")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def postgres_program(image_directory: Path, postgres_url: str) -> Iterator[Program]:
    made = Program(image_directory / "overwinter", database=postgres_url)
    made.start()
    yield made
    made.stop()


__all__ = ["Ground"]
