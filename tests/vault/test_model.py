"""A vault against plain byte arrays: any sequence of writes, backups, restores, deletions and collections."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, rebuild_index
from tests.vault.disks import CHUNK, NOW, key, manifest, new_vault, noise, read_from, reopen, restore

#: Sizes on both sides of one leaf of the map (128 chunks), one not of whole blocks.
SIZES = [3 * CHUNK + 100, 700 * CHUNK]


@dataclass
class DiskModel:
    content: bytearray
    changed: list[Extent] = field(default_factory=list)
    parent: tuple[str, DiskMap] | None = None

    def write(self, offset: int, data: bytes, *, zero: bool) -> None:
        self.content[offset : offset + len(data)] = data
        self.changed = [*without(self.changed, offset, len(data)), Extent(offset, len(data), zero)]
        self.changed.sort(key=lambda extent: extent.offset)


def without(extents: list[Extent], offset: int, length: int) -> list[Extent]:
    """The extents with a range cut out."""
    end = offset + length
    parts = []
    for extent in extents:
        if extent.offset < offset:
            parts.append(Extent(extent.offset, min(extent.end, offset) - extent.offset, extent.zero))
        if extent.end > end:
            start = max(extent.offset, end)
            parts.append(Extent(start, extent.end - start, extent.zero))
    return [part for part in parts if part.length > 0]


class VaultMachine(RuleBasedStateMachine):
    """Every block is a chunk."""

    chunk_size = CHUNK

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="vault-model-"))
        self.vault = new_vault(self.directory / "vault", chunk_size=self.chunk_size)
        self.disks = [DiskModel(bytearray(size)) for size in SIZES]
        self.points: dict[str, list[tuple[DiskMap, bytes]]] = {}
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @rule(
        number=st.integers(0, 1),
        place=st.floats(0, 1),
        length=st.sampled_from([1, 100, CHUNK, 5 * CHUNK + 7, 300 * CHUNK]),
        seed=st.integers(0, 3),
        aligned=st.booleans(),
    )
    def write(self, number: int, place: float, length: int, seed: int, aligned: bool) -> None:
        disk = self.disks[number]
        offset = int(place * (len(disk.content) - 1))
        offset -= offset % CHUNK if aligned else 0
        length = min(length, len(disk.content) - offset)
        disk.write(offset, bytes(length) if seed == 0 else noise(seed, length), zero=seed == 0)

    @rule(incremental=st.booleans(), committed=st.booleans())
    def back_up(self, incremental: bool, committed: bool) -> None:
        self.count += 1
        point = str(self.count)
        with self.vault.session(point) as session:
            stored = []
            for number, disk in enumerate(self.disks):
                parent, extents = None, [Extent(0, len(disk.content))]
                if incremental and disk.parent is not None and disk.parent[0] in self.points:
                    parent, extents = disk.parent[1], disk.changed
                read = read_from(disk.content)
                stored.append(session.store_disk(f"vd{number}", len(disk.content), extents, read, parent))
            if not committed:
                return
            session.commit(manifest(point, *stored))
        self.points[point] = []
        for disk, disk_map in zip(self.disks, stored, strict=True):
            self.points[point].append((disk_map, bytes(disk.content)))
            disk.parent, disk.changed = (point, disk_map), []

    @precondition(lambda self: self.points)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        point = data.draw(st.sampled_from(sorted(self.points)))
        self.vault.delete_point(point, now=NOW)
        del self.points[point]

    @rule()
    def collect(self) -> None:
        self.vault.collect(now=NOW)
        assert self.vault.collect(now=NOW).packs_removed == 0

    @rule(rebuild=st.booleans())
    def reopen(self, rebuild: bool) -> None:
        self.vault.close()
        if rebuild:
            rebuild_index(f"file://{self.directory}/vault", key())
        self.vault = reopen(self.directory / "vault")

    @precondition(lambda self: self.points)
    @rule(data=st.data(), place=st.floats(0, 1), length=st.integers(0, 3 * CHUNK))
    def read_range(self, data: st.DataObject, place: float, length: int) -> None:
        point = data.draw(st.sampled_from(sorted(self.points)))
        disk, content = data.draw(st.sampled_from(self.points[point]))
        offset = int(place * len(content))
        length = min(length, len(content) - offset)
        assert self.vault.read_range(disk, offset, length) == content[offset : offset + length]

    @invariant()
    def every_point_is_whole(self) -> None:
        found = {point.point_id: [disk.map for disk in point.disks] for point in self.vault.manifests()}
        assert found == {point: [disk for disk, _ in disks] for point, disks in self.points.items()}
        for disks in self.points.values():
            for disk, content in disks:
                assert restore(self.vault, disk) == content


class LongChunksMachine(VaultMachine):
    """Content decides where chunks end, and increments must find the old ones' ends."""

    chunk_size = 8 * CHUNK


TestVaultMachine = VaultMachine.TestCase
TestVaultMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestLongChunksMachine = LongChunksMachine.TestCase
TestLongChunksMachine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
