"""Restore points on the host, their locks and the support profile, in the words of the model."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from overwinter.cli.views import moment, sure_moment

Arm = dict[str, Any]


@dataclass(frozen=True)
class LockView:
    """A lock; ``scope`` is the path of the resource group or collection it is on."""

    address: str
    name: str
    level: str
    scope: str
    notes: str | None
    created: datetime

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a management lock."""
        return cls(
            address=arm["id"],
            name=arm["name"],
            level=arm["properties"]["level"],
            scope=arm["overwinter"]["scope"],
            notes=arm["properties"]["notes"],
            created=sure_moment(arm["overwinter"]["created"]),
        )


@dataclass(frozen=True)
class RestorePointView:
    """A restore point; ``snapshot_only`` tells that no vault holds it, ``layers`` how long its chain is."""

    address: str
    name: str
    created: datetime
    consistency: str
    snapshot_only: bool
    layers: int

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a restore point."""
        known = arm["properties"]
        return cls(
            address=arm["id"],
            name=arm["name"],
            created=sure_moment(known["timeCreated"]),
            consistency=known["consistencyMode"],
            snapshot_only=known["overwinter"]["snapshotOnly"],
            layers=known["overwinter"]["layers"],
        )


@dataclass(frozen=True)
class CollectionView:
    """A restore point collection; ``locks`` are the names of those that hold it.

    ``points`` is null where the points were not asked for.
    """

    address: str
    name: str
    resource_group: str
    vm: str
    restore_points: int
    snapshot_only: int
    oldest: datetime | None
    newest: datetime | None
    locks: tuple[str, ...]
    points: tuple[RestorePointView, ...] | None

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a restore point collection."""
        own = arm["properties"]["overwinter"]
        points = arm["properties"].get("restorePoints")
        return cls(
            address=arm["id"],
            name=arm["name"],
            resource_group=arm["id"].split("/")[4],
            vm=own["vmName"],
            restore_points=own["restorePoints"],
            snapshot_only=own["snapshotOnly"],
            oldest=moment(own["oldest"]),
            newest=moment(own["newest"]),
            locks=tuple(f"{lock['name']} ({lock['level']}) on {lock['scope']}" for lock in own["locks"]),
            points=None if points is None else tuple(RestorePointView.read(point) for point in points),
        )
