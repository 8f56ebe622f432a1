"""The program as it is carried into guests."""

from pathlib import Path

import pytest

from overwinter.guest.doctor_package import FILE_NAME, doctor_package


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the program."""
    path = tmp_path_factory.mktemp("package") / FILE_NAME
    path.write_bytes(doctor_package())
    path.chmod(0o755)
    return path
