"""What a verification found: damages, and what of which recovery point each touches."""

from dataclasses import dataclass
from uuid import UUID

from overwinter.model.extent import Extent

#: A report lists at most so many ranges of a disk, and so many disks of a damage; of more it says the number.
MOST_RANGES = 100
MOST_DISKS = 1000


@dataclass(frozen=True)
class DamagedDisk:
    """What a damage touches of one disk of a recovery point.

    ``ranges`` in bytes, ascending, neighbours joined; ``more_ranges`` there are beyond those listed.
    ``length`` is the sum of all, in bytes.
    """

    vm_uuid: UUID
    vm_name: str
    point_id: str
    target: str
    ranges: tuple[Extent, ...]
    more_ranges: int
    length: int


@dataclass(frozen=True)
class Damage:
    """An object of the vault that is damaged, what is wrong with it, and which disks it touches.

    ``more_disks`` it touches beyond those listed. ``harmless`` damage touches nothing that is needed.
    """

    object: str
    reason: str
    disks: tuple[DamagedDisk, ...] = ()
    more_disks: int = 0
    harmless: bool = False


@dataclass(frozen=True)
class VerifyReport:
    """How many objects, recovery points, packs and segments were looked at, and what is damaged.

    ``segments`` and ``bytes_read`` are those that were read and compared with their hashes.
    """

    objects: int
    points: int
    packs: int
    segments: int
    bytes_read: int
    damages: tuple[Damage, ...]

    @property
    def is_whole(self) -> bool:
        """Whether no recovery point and no part of the vault that is needed is damaged."""
        return all(damage.harmless for damage in self.damages)
