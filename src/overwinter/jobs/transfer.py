"""The task "Transfer data to vault": a restore point's frozen disks become a recovery point in the vault.

It reads frozen files, never the guest, so the guest may stop, start or be gone meanwhile. Order of writes:

1. packs and index (by the vault's session)
2. the manifest: the commit point; with it go the identities of the layers that were read
3. one catalog transaction: the recovery point has a vault tier, the tracks say what was transferred

A crash before 2 is a transfer that runs again and finds its chunks stored already; a crash between 2 and 3
finds the manifest and only does 3, from what the manifest says and not from what the disk is like by then.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from overwinter.catalog import items, points, policies, tracks, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.points import MachineState
from overwinter.catalog.tracks import Track
from overwinter.images.frozen import FrozenDisk
from overwinter.images.identity import LayerIdentity, identify
from overwinter.images.reader import open_frozen
from overwinter.jobs import faults
from overwinter.jobs.expiry import lock_point
from overwinter.jobs.increment import Increment, decide
from overwinter.jobs.progress import TaskReporter, task
from overwinter.jobs.restored_disk import restored_disk
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.throttle import Throttle
from overwinter.jobs.transferred import Transferred
from overwinter.model.errors import ChainUnexpected, NotFound, VaultDataCorrupt
from overwinter.model.extent import Extent
from overwinter.model.job import TRANSFER_DATA, JobError
from overwinter.model.point import DiskCapture, RestorePoint
from overwinter.model.protection import ProtectedItem
from overwinter.model.vault_rules import Immutability
from overwinter.model.vm import ImageLayer
from overwinter.vault import DiskMap, Manifest, ManifestDisk, Session, VaultStore, bytes_to_read

ReadDisk = Callable[[int, memoryview], None]


@dataclass(frozen=True)
class _Source:
    """One open frozen disk, how to read it, the identities of its layers, and the decision what to read."""

    capture: DiskCapture
    disk: FrozenDisk
    read: ReadDisk
    layers: tuple[LayerIdentity, ...]
    increment: Increment
    parent: DiskMap | None


def transfer(runtime: Runtime, job_id: UUID, restore_point_id: UUID) -> tuple[JobError, ...]:
    """Bring a restore point into the vault. Returns warnings; raises when the point is not in the vault."""
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        vault = vaults.get_by_id(tx, job.vault_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        point = points.find_restore_point(tx, restore_point_id)
        if item is None or point is None:
            raise NotFound(f"The restore point of {job.vm_name} is gone, so it cannot be transferred.")
        policy = policies.get_by_id(tx, item.policy_id)
        state = points.machine_state(tx, point.id)
        recovery_point = points.recovery_point_of(tx, point.id)
        expires = None if recovery_point is None else recovery_point.expires
        known = tracks.of_item(tx, item.id)
    store = runtime.vaults.open(vault)
    manifest = _committed(store, point.id)
    limit = policy.content.extension.bandwidth_limit
    throttle = None if limit is None else Throttle(limit, TaskReporter(runtime, job_id, TRANSFER_DATA).check)
    warnings: tuple[JobError, ...] = ()
    with ExitStack() as stack:
        sources: list[_Source] = []
        if manifest is None:
            for capture in point.disks:
                sources.append(
                    stack.enter_context(_opened(capture, known.get(capture.target), store, throttle))
                )
        total = sum(_bytes_to_read(source, store.chunk_size) for source in sources)
        with task(runtime, job_id, TRANSFER_DATA, total=total) as reporter:
            if manifest is None:
                reporter.check()
                manifest, warnings = _store(store, reporter, item, point, state, sources, expires)
                faults.place("transfer.committed")
            _lock(store, manifest)
            _record(runtime, job_id, item, point, manifest)
    return warnings


def _committed(store: VaultStore, point_id: UUID) -> Manifest | None:
    try:
        return store.manifest(str(point_id))
    except NotFound:
        return None


@contextmanager
def _opened(
    capture: DiskCapture, track: Track | None, store: VaultStore, throttle: Throttle | None
) -> Iterator[_Source]:
    layers = tuple(identify(path) for path in capture.chain)
    increment = decide(track, size=capture.size, chunk_size=store.chunk_size, chain=layers)
    parent = None
    if increment.depth is not None and track is not None:
        parent = DiskMap(size=track.size, root=bytes.fromhex(track.map_root), chunk_size=track.chunk_size)
    chain = [ImageLayer(*layer) for layer in zip(capture.chain, capture.formats, strict=True)]
    with open_frozen(chain) as disk:
        if disk.size != capture.size:
            raise ChainUnexpected(
                f"Disk {capture.target} had {capture.size} bytes when the snapshot was taken and its image "
                f"{capture.chain[0]} has {disk.size} now. Back up again."
            )
        yield _Source(capture, disk, _reader(disk, throttle), layers, increment, parent)


def _reader(disk: FrozenDisk, throttle: Throttle | None) -> ReadDisk:
    if throttle is None:
        return disk.read_into

    def read(offset: int, buffer: memoryview) -> None:
        throttle.wait(len(buffer))
        disk.read_into(offset, buffer)

    return read


def _extents(source: _Source) -> Iterator[Extent]:
    if source.parent is None:
        return source.disk.extents(None)
    if source.increment.depth == 0:
        return iter(())
    return source.disk.extents(source.increment.depth)


def _bytes_to_read(source: _Source, chunk_size: int) -> int:
    has_parent = source.parent is not None
    return bytes_to_read(_extents(source), source.disk.size, chunk_size, has_parent=has_parent)


def _store(
    store: VaultStore,
    reporter: TaskReporter,
    item: ProtectedItem,
    point: RestorePoint,
    state: MachineState,
    sources: list[_Source],
    expires: datetime | None,
) -> tuple[Manifest, tuple[JobError, ...]]:
    """Store all disks and commit. A disk whose earlier map is damaged is read in full, with a warning."""
    warnings: list[JobError] = []
    while True:
        try:
            return _store_in_session(store, reporter, item, point, state, sources, expires), tuple(warnings)
        except _ParentDamaged as damaged:
            target, error = damaged.source.capture.target, damaged.error
            message = f"Disk {target} was read in full because its earlier map is damaged: {error.message}"
            warnings.append(JobError(error.code, message))
            # Or the index would go on promising what the vault has lost, and nobody would store it anew.
            store.verify(cancelled=reporter.check)
            sources = [replace(each, parent=None) if each is damaged.source else each for each in sources]


class _ParentDamaged(Exception):
    """The map that a disk builds upon cannot be read. The session that met it must not commit any more."""

    def __init__(self, source: _Source, error: VaultDataCorrupt) -> None:
        super().__init__(error.message)
        self.source = source
        self.error = error


def _store_in_session(
    store: VaultStore,
    reporter: TaskReporter,
    item: ProtectedItem,
    point: RestorePoint,
    state: MachineState,
    sources: list[_Source],
    expires: datetime | None,
) -> Manifest:
    disks: list[ManifestDisk] = []
    with store.session(str(point.id), reporter.reach, reporter.check) as session:
        for source in sources:
            disks.append(_manifest_disk(source, _store_disk(session, source)))
            _check_untouched(source)
        session.flush()
        faults.place("transfer.stored")
        manifest = Manifest(
            point_id=str(point.id),
            vm_uuid=item.vm_uuid,
            vm_name=item.vm_name,
            created=point.created,
            consistency=point.consistency,
            disks=tuple(disks),
            domain_xml=state.domain_xml,
            nvram=state.nvram,
            properties=Transferred(
                layers={source.capture.target: source.layers for source in sources},
                bytes_read=session.stats.bytes_read,
                bytes_stored=session.stats.bytes_stored,
                incremental=all(source.parent is not None for source in sources),
            ).to_properties(),
            expires=expires,
        )
        reporter.check_now()
        session.commit(manifest)
    return manifest


def _lock(store: VaultStore, manifest: Manifest) -> None:
    """In a vault with locked immutability a point is locked before anybody is told of it."""
    rules = store.rules()
    if rules is not None and rules.immutability is Immutability.LOCKED and manifest.expires is not None:
        lock_point(store, manifest.point_id, manifest.expires)


def _store_disk(session: Session, source: _Source) -> DiskMap:
    """Store one disk. Raises _ParentDamaged."""
    target, disk, parent = source.capture.target, source.disk, source.parent
    try:
        return session.store_disk(
            target=target, size=disk.size, extents=_extents(source), read=source.read, parent=parent
        )
    except VaultDataCorrupt as error:
        if parent is None:
            raise
        raise _ParentDamaged(source, error) from error


def _manifest_disk(source: _Source, disk_map: DiskMap) -> ManifestDisk:
    """How the disk is remade at a restore: in the format of the VM's own image, not of our overlay."""
    disk = restored_disk(source.capture)
    return ManifestDisk(
        target=disk.target,
        lun=disk.lun,
        size=disk.size,
        format=disk.format,
        cluster_size=disk.cluster_size,
        map=disk_map,
    )


def _check_untouched(source: _Source) -> None:
    """Frozen images that change while they are read make a point that never existed."""
    for before in source.layers:
        if identify(before.path) != before:
            raise ChainUnexpected(
                f"{before.path} was changed by another program while it was backed up. Nothing was committed."
                " Find the program that writes to the disk images of this VM, then back up again."
            )


def _record(
    runtime: Runtime, job_id: UUID, item: ProtectedItem, point: RestorePoint, manifest: Manifest
) -> None:
    done = Transferred.of(manifest)
    with runtime.catalog.transaction() as tx:
        found = points.recovery_point_of(tx, point.id)
        if found is None:
            raise NotFound(f"The recovery point of {item.vm_name} is gone from the catalog.")
        points.put_recovery_point(
            tx,
            replace(
                found,
                manifest=manifest.point_id,
                bytes_read=done.bytes_read,
                bytes_stored=done.bytes_stored,
                incremental=done.incremental,
            ),
        )
        tracks.delete(tx, item.id)
        for disk in manifest.disks:
            tracks.put(
                tx,
                Track(
                    item_id=item.id,
                    target=disk.target,
                    size=disk.map.size,
                    layers=tuple(layer.to_json() for layer in done.layers[disk.target]),
                    map_root=disk.map.root.hex(),
                    chunk_size=disk.map.chunk_size,
                ),
            )
        figures: dict[str, object] = {
            "bytes_read": done.bytes_read,
            "bytes_stored": done.bytes_stored,
            "incremental": done.incremental,
        }
        job_table.set_properties(tx, job_id, figures)
