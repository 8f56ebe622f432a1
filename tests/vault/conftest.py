"""What holds for all tests of the vault room."""

from collections.abc import Iterator

import pytest

from overwinter.vault import reserve


@pytest.fixture(scope="session", autouse=True)
def small_reserve() -> Iterator[None]:
    """Hundreds of vaults on one machine hold little back, and copies of them are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reserve, "LARGEST", 256 * 1024)
        yield
