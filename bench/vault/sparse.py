"""sparse6t: a huge disk with next to nothing on it, read by the path of a real backup."""

import random
import subprocess
from collections.abc import Iterator

from bench.changes import PIECE, overwrite
from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools.overwinter import Overwinter, bytes_read, overlay

#: Pieces of 64 KiB with data, scattered over the disk.
_PIECES = 256


def rows(stage: Stage, size: int) -> Iterator[Row]:
    """An increment without changes, and a point of a chain that is not known: all extents are asked for."""
    disk = stage.directory / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), str(size)], check=True)
    chosen = random.Random(1).sample(range(size // PIECE), _PIECES)
    overwrite(disk, sorted(piece * PIECE for piece in chosen))
    vault = Overwinter().repository(stage)
    vault.back_up(disk, "first")
    chain = [overlay(stage.directory / "1.qcow2", disk), disk]

    def backup(what: str, name: str, parent: str | None) -> Row:
        before = stored(vault.path)
        done = vault.back_up_chain(chain, name, parent)
        grown = stored(vault.path) - before
        return stage.row(
            Overwinter.name,
            what,
            done,
            bytes_read=bytes_read(done),
            bytes_stored=grown,
            details={"disk_bytes": size},
        )

    yield backup("sparse6t_unchanged", "unchanged", "first")
    yield backup("sparse6t_full", "full", None)
