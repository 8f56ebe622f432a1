"""Storing anew what a vault has lost of a VM's points, from the frozen disks that the host still has.

Data in a vault is named by its content. So what is read again from a point's frozen files is stored under the
names that the point's map has for it, and the point is whole again; so are all others that share it. No point
is made, and nothing that is whole is stored twice. Points that only the vault has are healed as far as they
share data with those of the host.
"""

from collections.abc import Callable
from dataclasses import dataclass

from overwinter.catalog import points, policies, vaults
from overwinter.images.reader import open_frozen
from overwinter.jobs import vault_mending
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.throttle import Throttle
from overwinter.model.errors import NotFound, VaultError
from overwinter.model.point import DiskCapture
from overwinter.model.protection import ProtectedItem
from overwinter.model.vm import ImageLayer
from overwinter.vault import DiskMap, VaultStore


@dataclass(frozen=True)
class _Held:
    """One disk of a recovery point that the host and the vault both have."""

    point: str
    capture: DiskCapture
    map: DiskMap


def finding(runtime: Runtime, item: ProtectedItem) -> str | None:
    """What of the item's points is known to be damaged and can be stored anew, in a sentence.

    Null when nothing is, or when the vault cannot be looked into. Only a vault of which damage was told is
    looked into: it takes a while.
    """
    with runtime.catalog.transaction() as tx:
        if not vault_mending.was_told(tx, item.vault_id):
            return None
    try:
        store = _store_of(runtime, item)
        damaged = [(held, _damage(store, held)) for held in _held(runtime, item, store)]
    except VaultError:
        return None
    named = sorted({f"{held.capture.target} of point {held.point}" for held, amount in damaged if amount})
    if not named:
        return None
    return f"Data in the vault is damaged, and the host still has it: disk {', '.join(named)}."


def heal(runtime: Runtime, item: ProtectedItem, check: Callable[[], None]) -> None:
    """Read it again and store it.

    At most the bytes a second that the policy allows are read. Raises JobCancelled, VaultError, ImageError
    and ChainUnexpected when the frozen files are not what they were.
    """
    with runtime.catalog.transaction() as tx:
        limit = policies.get_by_id(tx, item.policy_id).content.extension.bandwidth_limit
    throttle = None if limit is None else Throttle(limit, check)
    store = _store_of(runtime, item)
    for held in reversed(_held(runtime, item, store)):  # what the newest has need not be read of older ones
        check()
        if _damage(store, held):
            _store_anew(store, held, throttle, check)


def _store_anew(store: VaultStore, held: _Held, throttle: Throttle | None, check: Callable[[], None]) -> None:
    capture = held.capture
    chain = [ImageLayer(*layer) for layer in zip(capture.chain, capture.formats, strict=True)]
    with open_frozen(chain) as disk:

        def read(offset: int, buffer: memoryview) -> None:
            if throttle is not None:
                throttle.wait(len(buffer))
            disk.read_into(offset, buffer)

        store.heal_disk(held.map, read, target=capture.target, cancelled=check)


def _store_of(runtime: Runtime, item: ProtectedItem) -> VaultStore:
    with runtime.catalog.transaction() as tx:
        vault = vaults.get_by_id(tx, item.vault_id)
    return runtime.vaults.open(vault)


def _held(runtime: Runtime, item: ProtectedItem, store: VaultStore) -> list[_Held]:
    """Oldest first; points whose manifest is lost are not there."""
    found: list[_Held] = []
    with runtime.catalog.transaction() as tx:
        taken = points.restore_points_of(tx, item.vm_uuid)
        offered = {point.restore_point: point for point in points.recovery_points_of(tx, item.id)}
    for restore_point in taken:
        point = offered.get(restore_point.id)
        if point is None or point.manifest is None:
            continue
        try:
            manifest = store.manifest(point.manifest)
        except NotFound:
            continue
        maps = {disk.target: disk.map for disk in manifest.disks}
        found += [
            _Held(point.id, capture, maps[capture.target])
            for capture in restore_point.disks
            if capture.target in maps
        ]
    return found


def _damage(store: VaultStore, held: _Held) -> int:
    """Bytes of the disk that the vault has lost."""
    return sum(extent.length for extent in store.damaged_extents(held.map))
