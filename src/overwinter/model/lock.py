"""Management locks: what a person put on a resource group or collection, and what that forbids.

As in Azure's resource manager: a lock on a group holds for everything in it, CanNotDelete forbids deletion,
ReadOnly forbids writing too, and of several locks the strictest counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from overwinter.model.errors import ScopeLocked


class LockLevel(StrEnum):
    """What a lock forbids, in the words of the ARM API."""

    CAN_NOT_DELETE = "CanNotDelete"
    READ_ONLY = "ReadOnly"


class Access(StrEnum):
    """What somebody wants to do with what may be locked."""

    DELETE = "delete"
    WRITE = "write"


@dataclass(frozen=True)
class LockScope:
    """A resource group, or one restore point collection in it. Letter case does not count."""

    resource_group: str
    collection: str | None = None

    def covers(self, other: "LockScope") -> bool:
        """Whether a lock on this scope holds for the other: the same, or a collection in this group."""
        if self.resource_group.casefold() != other.resource_group.casefold():
            return False
        if self.collection is None:
            return True
        return other.collection is not None and self.collection.casefold() == other.collection.casefold()

    def __str__(self) -> str:
        group = f"/resourceGroups/{self.resource_group}"
        if self.collection is None:
            return group
        return f"{group}/providers/Microsoft.Compute/restorePointCollections/{self.collection}"


@dataclass(frozen=True)
class Lock:
    """One lock. ``notes`` is what its maker wrote for others."""

    id: UUID
    name: str
    level: LockLevel
    notes: str | None
    created: datetime
    scope: LockScope

    def forbids(self, access: Access, scope: LockScope) -> bool:
        """Whether this lock stands in the way of that access to that scope."""
        strict_enough = access is Access.DELETE or self.level is LockLevel.READ_ONLY
        return strict_enough and self.scope.covers(scope)


def blocking(locks: Iterable[Lock], access: Access, scopes: Iterable[LockScope]) -> Lock | None:
    """The first lock that forbids the access to one of the scopes, or None."""
    wanted = list(scopes)
    return next((lock for lock in locks if any(lock.forbids(access, scope) for scope in wanted)), None)


def refuse(locks: Iterable[Lock], access: Access, scopes: Iterable[LockScope], what: str) -> None:
    """Raise ScopeLocked, which names lock and locked scope, when a lock forbids the access.

    ``what`` begins the sentence: "Restore points of web01".
    """
    lock = blocking(locks, access, scopes)
    if lock is not None:
        raise locked(lock, access, what)


def locked(lock: Lock, access: Access, what: str) -> ScopeLocked:
    """The error that a lock forbids it."""
    verb = "deleted" if access is Access.DELETE else "added"
    return ScopeLocked(
        f"{what} cannot be {verb}: lock {lock.name} ({lock.level}) holds the scope {lock.scope}."
    )
