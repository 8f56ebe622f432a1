"""What a vault holds and what it costs: totals, per VM and per recovery point."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overwinter.model.errors import VaultObjectMissing
from overwinter.vault import growth as trend
from overwinter.vault import points
from overwinter.vault.batch import CheckCancelled
from overwinter.vault.blobs import BlobStore
from overwinter.vault.chunking import BLOCK
from overwinter.vault.diskmap import DiskMap, MapReader, Shape, decode_root
from overwinter.vault.leaf import Leaf
from overwinter.vault.manifest import Manifest
from overwinter.vault.mark import PageRead, mark_disks
from overwinter.vault.ownership import Ownership
from overwinter.vault.pack import pack_id
from overwinter.vault.seal import BlobKind
from overwinter.vault.storage import StoredObject


@dataclass(frozen=True)
class ObjectStats:
    """Number and bytes of the stored objects whose names begin with ``kind``."""

    kind: str
    objects: int
    bytes: int


@dataclass(frozen=True)
class PointStats:
    """One recovery point. ``deleted``: it is kept for some days yet, and counts everywhere.

    ``logical_bytes`` are the disks' sizes, ``content_bytes`` their chunks that are not zero. Stored bytes,
    estimated as equal shares of segments: ``own_bytes`` that no other point needs, so that deleting this one
    frees them, and ``new_bytes`` that no point before it needs.
    """

    point_id: str
    vm_uuid: UUID
    created: datetime
    deleted: bool
    logical_bytes: int
    content_bytes: int
    own_bytes: int
    new_bytes: int


@dataclass(frozen=True)
class VmStats:
    """All points of one VM. ``own_bytes``: stored bytes that no other VM needs; the rest as of a point."""

    vm_uuid: UUID
    vm_name: str
    points: int
    logical_bytes: int
    content_bytes: int
    own_bytes: int


@dataclass(frozen=True)
class VaultStats:
    """A whole vault.

    ``logical_bytes`` and ``content_bytes`` are sums over points; ``unique_bytes`` counts the content of equal
    chunks once. ``waste_bytes`` are those of packs that nothing needs (estimated). ``objects`` are by kind,
    ``points`` oldest first, ``vms`` by name.
    """

    logical_bytes: int
    content_bytes: int
    unique_bytes: int
    waste_bytes: int
    objects: tuple[ObjectStats, ...]
    vms: tuple[VmStats, ...]
    points: tuple[PointStats, ...]

    @property
    def stored_bytes(self) -> int:
        """Bytes of all objects."""
        return sum(kind.bytes for kind in self.objects)

    @property
    def object_count(self) -> int:
        """Number of all objects."""
        return sum(kind.objects for kind in self.objects)

    @property
    def mean_object_bytes(self) -> float:
        """Mean size of an object."""
        return self.stored_bytes / self.object_count if self.object_count else 0.0

    def growth(self, *, now: datetime, free_bytes: int | None = None) -> trend.Growth | None:
        """How the vault grows, see ``growth``; a VM's first point is left out: it brings the whole VM."""
        known: set[UUID] = set()
        stored = []
        for point in self.points:
            if point.vm_uuid in known:
                stored.append(trend.Stored(point.created, point.new_bytes))
            known.add(point.vm_uuid)
        return trend.growth(stored, now=now, free_bytes=free_bytes)


def vault_stats(blobs: BlobStore, cancelled: CheckCancelled | None) -> VaultStats:
    """See ``VaultStore.stats``."""
    while True:
        deleted = points.deletions(blobs)
        found = dict(points.each_manifest(blobs))
        try:
            return _measured(blobs, found, deleted, cancelled)
        except VaultObjectMissing:
            if all(points.is_there(blobs, name) for name in found):
                raise  # no point was deleted and collected meanwhile: it is damage


def _measured(
    blobs: BlobStore, found: Mapping[str, Manifest], deleted: Container[str], cancelled: CheckCancelled | None
) -> VaultStats:
    named = sorted(found.items(), key=lambda item: (item[1].created, item[1].point_id))
    manifests = [manifest for _, manifest in named]
    vms = list(dict.fromkeys(manifest.vm_uuid for manifest in manifests))
    blobs.refresh()  # after the manifests were read: what they need is in the index
    owners = Ownership(blobs.snapshot(), [vms.index(manifest.vm_uuid) for manifest in manifests])
    tails: dict[bytes, int] = {}
    new, content = [], []
    for number, manifest in enumerate(manifests):
        disks = [disk.map for disk in manifest.disks]
        owners.enter(number)
        mark_disks(blobs, disks, owners, _checked(owners.page_read, cancelled))
        new.append(owners.leave())
        content.append(sum(_content_bytes(blobs, owners, disk, tails) for disk in disks))
    own, own_of_vms = owners.own_bytes()
    measured = tuple(
        PointStats(
            point_id=manifest.point_id,
            vm_uuid=manifest.vm_uuid,
            created=manifest.created,
            deleted=name in deleted,
            logical_bytes=sum(disk.map.size for disk in manifest.disks),
            content_bytes=content[number],
            own_bytes=own[number],
            new_bytes=new[number],
        )
        for number, (name, manifest) in enumerate(named)
    )
    names = {manifest.vm_uuid: manifest.vm_name for manifest in manifests}  # the newest name of each
    of_vms = [
        _of_vm(vm, names[vm], measured, own_bytes) for vm, own_bytes in zip(vms, own_of_vms, strict=True)
    ]
    stored = blobs.storage.list("")
    return VaultStats(
        logical_bytes=sum(point.logical_bytes for point in measured),
        content_bytes=sum(content),
        unique_bytes=_unique_bytes(owners, tails),
        waste_bytes=_waste_bytes(owners, stored),
        objects=_by_kind(stored),
        vms=tuple(sorted(of_vms, key=lambda vm: (vm.vm_name, vm.vm_uuid))),
        points=measured,
    )


def _checked(page_read: PageRead, cancelled: CheckCancelled | None) -> PageRead:
    """``page_read`` that asks before whether to go on."""
    if cancelled is None:
        return page_read

    def read(page_id: bytes, found: Leaf | bytes) -> None:
        cancelled()
        page_read(page_id, found)

    return read


def _content_bytes(blobs: BlobStore, owners: Ownership, disk: DiskMap, tails: dict[bytes, int]) -> int:
    """Bytes of a disk's chunks that are not zero; notes in ``tails`` how much its last block is too short."""
    tree = decode_root(blobs.read(BlobKind.PAGE, disk.root), disk.size, disk.chunk_size)
    content = owners.blocks_below(tree) * BLOCK
    lacking = -disk.size % BLOCK
    if lacking:
        shape = Shape(disk.size, disk.chunk_size)
        pages = MapReader(shape, tree, lambda page: blobs.read(BlobKind.PAGE, page))
        for last in pages.chunks(shape.blocks - 1):
            tails[last.id] = lacking
            content -= lacking
    return content


def _unique_bytes(owners: Ownership, tails: Mapping[bytes, int]) -> int:
    return owners.needed_blocks() * BLOCK - sum(tails.values())


def _waste_bytes(owners: Ownership, stored: Sequence[StoredObject]) -> int:
    needed = owners.needed_shares()
    waste = 0.0
    for each in stored:
        pack = pack_id(each.name)
        if pack is not None:
            waste += each.size * (1 - needed.get(pack, 0.0))
    return int(waste)


def _by_kind(stored: Sequence[StoredObject]) -> tuple[ObjectStats, ...]:
    sizes: dict[str, list[int]] = {}
    for each in stored:
        sizes.setdefault(each.name.split("/", 1)[0], []).append(each.size)
    return tuple(ObjectStats(kind, len(found), sum(found)) for kind, found in sorted(sizes.items()))


def _of_vm(vm: UUID, name: str, measured: Sequence[PointStats], own_bytes: int) -> VmStats:
    its = [point for point in measured if point.vm_uuid == vm]
    return VmStats(
        vm_uuid=vm,
        vm_name=name,
        points=len(its),
        logical_bytes=sum(point.logical_bytes for point in its),
        content_bytes=sum(point.content_bytes for point in its),
        own_bytes=own_bytes,
    )
