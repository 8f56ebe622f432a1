"""collect10m: the collection after one of 1,000 points was deleted, in a vault of 10 million chunks.

Half of the chunks are in the first points of some VMs, the other half came with their increments, in runs of
4 MiB scattered over the disks. The newest point of one VM is deleted: no other point needs what it brought.
The index is as the last collection left it, but for the newest point of each VM.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools.overwinter import Overwinter
from bench.vault.forge import CHUNKS_PER_PACK, Forge, ForgedDisk, Records, even_parts
from overwinter.vault import points
from overwinter.vault.packing import PACKS_PER_INDEX
from overwinter.vault.seal import ID_LENGTH

#: Chunks that change together: 4 MiB of disk, where they have their mean size.
_RUN = 23


@dataclass(frozen=True)
class _History:
    """How many VMs, points of each, and chunks that a VM's first point and each increment bring."""

    machines: int
    points: int
    first: int
    increment: int

    @classmethod
    def of(cls, chunks: int, points: int, machines: int) -> "_History":
        """Of about so many chunks and points altogether."""
        per_machine = max(2, points // machines)

        def whole_packs(count: float) -> int:
            return max(1, round(count / CHUNKS_PER_PACK)) * CHUNKS_PER_PACK

        first = whole_packs(chunks / 2 / machines)
        return cls(machines, per_machine, first, whole_packs(chunks / 2 / machines / (per_machine - 1)))


def rows(stage: Stage, chunks: int, points_: int, machines: int) -> Iterator[Row]:
    """Delete a point and collect."""
    vault = Overwinter().repository(stage)
    forge = Forge(vault)
    history = _History.of(chunks, points_, machines)
    stage.say(f"forging a vault of {history} …")
    made = _fill(forge, history)
    now = datetime.now(UTC)
    points.delete(forge.blobs, f"0 {history.points - 1}", now=now, until=now)
    del forge
    before = stored(vault.path)
    done = vault.step("bench.vault.step", "collect")
    told = json.loads(done.output)
    yield stage.row(
        Overwinter.name,
        "collect10m",
        done,
        bytes_read=done.rchar,
        bytes_stored=stored(vault.path) - before,
        details=made | told,
    )


def _fill(forge: Forge, history: _History) -> dict[str, float]:
    """Make all points; gives how much there is."""
    collected: list[Records] = []
    pages = 0
    for machine in range(history.machines):
        disk = ForgedDisk(forge, history.first * forge.chunk_size)
        source = random.Random(machine)
        for number in range(history.points):
            ids = os.urandom(ID_LENGTH * (history.increment if number else history.first))
            runs = [(0, ids)] if number == 0 else _scattered(ids, history.first, source)
            disk_map, new = disk.change(
                part for first, its in runs for part in even_parts(its, first, forge.chunk_size)
            )
            records = forge.packs(ids, new)
            pages += len(new)
            if number < history.points - 1:
                collected.append(records)
            else:
                forge.index(records, PACKS_PER_INDEX * CHUNKS_PER_PACK)
            forge.point(f"{machine} {number}", disk_map)
    forge.index(np.concatenate(collected))
    increments = history.machines * (history.points - 1)
    return {
        "chunks": history.machines * history.first + increments * history.increment,
        "points": history.machines * history.points,
        "pages": pages,
    }


def _scattered(ids: bytes, chunks: int, source: random.Random) -> Iterator[tuple[int, bytes]]:
    """The ids in runs at ascending places of a disk of so many chunks."""
    length = _RUN * ID_LENGTH
    places = sorted(source.sample(range(chunks // _RUN), len(ids) // length))
    for number, place in enumerate(places):
        yield place * _RUN, ids[number * length : (number + 1) * length]
