"""index1t: what a backup into a vault with 1 TiB of unique data takes, beside one into an empty vault.

Once the index is as a collection leaves it, in few large objects, and once as sessions leave it, with an
object for every four packs.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from shutil import rmtree

from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools.overwinter import Overwinter
from bench.vault.forge import CHUNKS_PER_PACK, RECORDS_PER_OBJECT, Forge
from overwinter.vault.pack import PACK_SIZE
from overwinter.vault.packing import PACKS_PER_INDEX
from overwinter.vault.seal import ID_LENGTH


def rows(stage: Stage, data: int, backup: int) -> Iterator[Row]:
    """A first point of ``backup`` bytes into an empty vault, and into vaults that hold ``data`` bytes."""
    for what, held, records_per_object in (
        ("index1t_empty", 0, RECORDS_PER_OBJECT),
        ("index1t", data, RECORDS_PER_OBJECT),
        ("index1t_uncollected", data, PACKS_PER_INDEX * CHUNKS_PER_PACK),
    ):
        directory = stage.directory / what
        directory.mkdir()
        yield _row(replace(stage, directory=directory), what, held, records_per_object, backup)
        rmtree(directory)


def _row(stage: Stage, what: str, data: int, records_per_object: int, backup: int) -> Row:
    vault = Overwinter().repository(stage)
    forge = Forge(vault)
    packs = data // PACK_SIZE
    if packs:
        records = forge.packs(os.urandom(ID_LENGTH * packs * CHUNKS_PER_PACK), [])
        forge.index(records, records_per_object)
    before = stored(vault.path)
    done = vault.step("bench.vault.step", "first", str(backup))
    return stage.row(
        Overwinter.name,
        what,
        done,
        bytes_read=json.loads(done.output)["bytes_read"],
        bytes_stored=stored(vault.path) - before,
        details={"packs": packs, "records": packs * CHUNKS_PER_PACK},
    )
