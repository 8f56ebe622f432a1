"""changed_100g: what an increment of scattered changes costs beside the changed data itself.

The disk's map is full, as that of a disk in use: all its pages hold other ids than zeros, and its chunks are
as long as content makes them.
"""

import json
import math
import os
import random
from collections.abc import Iterator

from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools.overwinter import Overwinter
from bench.vault.anatomy import Anatomy, overhead
from bench.vault.forge import Forge, ForgedDisk
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import Shape
from overwinter.vault.leaf import Part
from overwinter.vault.seal import ID_LENGTH

_FRACTION = 0.01


def rows(stage: Stage, size: int) -> Iterator[Row]:
    """An increment of 1 % in pieces of 64 KiB."""
    vault = Overwinter().repository(stage)
    forge = Forge(vault)
    disk_map, pages = ForgedDisk(forge, size).change(_cut(size, forge.chunk_size, random.Random(1)))
    forge.index(forge.packs(b"", pages))
    forge.point("first", disk_map)
    before, growth = stored(vault.path), Anatomy(vault.path)
    done = vault.step("bench.vault.step", "increment", "first", str(_FRACTION))
    told, grown = json.loads(done.output), stored(vault.path) - before
    changed = told["bytes_changed"]
    details = {
        "disk_bytes": size,
        "bytes_changed": changed,
        "read_by_changed": round(told["bytes_read"] / changed, 2),
        "stored_by_changed": round(grown / changed, 3),
        **overhead(growth.grown(), changed),
    }
    yield stage.row(
        Overwinter.name,
        "changed_100g",
        done,
        bytes_read=told["bytes_read"],
        bytes_stored=grown,
        details=details,
    )


def _cut(size: int, chunk_size: int, source: random.Random) -> Iterator[Part]:
    """Chunks of a disk of unknown content: any block may begin one, with the chance that it has."""
    shape, least = Shape(size, chunk_size), chunk_size // BLOCK
    chance = 1 / (least * 3 // 8 + 1)
    first = 0
    while first < shape.blocks:
        border = min(shape.blocks, (first // shape.region + 1) * shape.region)
        more = int(math.log(1 - source.random()) / math.log(1 - chance))
        count = min(least + more, least * 5 // 2, border - first)
        yield Part(first, count, os.urandom(ID_LENGTH))
        first += count
