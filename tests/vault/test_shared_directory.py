"""Several processes that write to one directory: none takes away what another is writing."""

from pathlib import Path

import pytest

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault.storage import LocalStorage
from testkit.simulated_disk import SimulatedDisk

ROOT = Path("/vault")


class Busy(SimulatedDisk):
    """Another process discards what is unfinished just before each of the next ``times`` links."""

    times = 0

    def link(self, source: Path, target: Path) -> None:
        if self.times:
            self.times -= 1
            LocalStorage(ROOT, self).discard_unfinished()
        super().link(source, target)


def test_what_another_process_is_writing_is_written_again() -> None:
    disk = Busy()
    storage = LocalStorage(ROOT, disk)
    disk.times = 3
    storage.put("packs/00/1", [b"content"])
    assert storage.get("packs/00/1") == b"content"
    assert disk.entries(ROOT / "tmp") == []


def test_a_directory_that_always_loses_files_is_an_error() -> None:
    disk = Busy()
    disk.times = 1000
    with pytest.raises(VaultObjectMissing, match="packs/00/1"):
        LocalStorage(ROOT, disk).put("packs/00/1", [b"content"])
