"""What a vault holds and costs, as the service says it; also the shape of ``vault stats --json``. Bytes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from overwinter.cli.views import Arm, moment, sure_moment


@dataclass(frozen=True)
class KindView:
    """Stored objects of one kind."""

    kind: str
    objects: int
    bytes: int


@dataclass(frozen=True)
class VmStatsView:
    """One VM; ``own`` are stored bytes that no other VM needs."""

    vm: str
    uuid: str
    points: int
    logical: int
    content: int
    own: int


@dataclass(frozen=True)
class PointStatsView:
    """One recovery point; ``new`` are stored bytes no earlier point needs, ``own`` those no other needs."""

    id: str | None
    name: str
    vm_uuid: str
    created: datetime
    deleted: bool
    logical: int
    content: int
    own: int
    new: int


@dataclass(frozen=True)
class GrowthView:
    """The trend of what points add, and when the room is used up by it."""

    bytes_per_day: float
    points: int
    full: datetime | None


@dataclass(frozen=True)
class StatsView:
    """A whole vault; ``free`` is the room left for it, where that is known."""

    vault: str
    logical: int
    content: int
    unique: int
    stored: int
    waste: int
    free: int | None
    objects: tuple[KindView, ...]
    vms: tuple[VmStatsView, ...]
    points: tuple[PointStatsView, ...]
    growth: GrowthView | None

    @classmethod
    def read(cls, vault: str, arm: Arm) -> Self:
        """From the statistics of a vault."""
        growth = arm["growth"]
        return cls(
            vault=vault,
            logical=arm["logicalBytes"],
            content=arm["contentBytes"],
            unique=arm["uniqueBytes"],
            stored=arm["storedBytes"],
            waste=arm["wasteBytes"],
            free=arm["freeBytes"],
            objects=tuple(KindView(row["kind"], row["objects"], row["bytes"]) for row in arm["objects"]),
            vms=tuple(_vm(row) for row in arm["vms"]),
            points=tuple(_point(row) for row in arm["points"]),
            growth=None
            if growth is None
            else GrowthView(growth["bytesPerDay"], growth["points"], moment(growth["full"])),
        )


def _vm(row: Arm) -> VmStatsView:
    return VmStatsView(
        row["vm"], row["vmUuid"], row["points"], row["logicalBytes"], row["contentBytes"], row["ownBytes"]
    )


def _point(row: Arm) -> PointStatsView:
    return PointStatsView(
        id=row["recoveryPoint"],
        name=row["name"],
        vm_uuid=row["vmUuid"],
        created=sure_moment(row["created"]),
        deleted=row["deleted"],
        logical=row["logicalBytes"],
        content=row["contentBytes"],
        own=row["ownBytes"],
        new=row["newBytes"],
    )
