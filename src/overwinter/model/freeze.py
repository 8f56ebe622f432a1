"""What stood still while a snapshot was taken, as far as the guest tells; kept with the recovery point."""

from dataclasses import dataclass
from enum import StrEnum


class FreezeMethod(StrEnum):
    """Who froze the file systems."""

    EXTENSION = "extension"
    AGENT = "agent"


class NotFrozen(StrEnum):
    """Why a mount was not frozen; the words of the extension (its ``mounts.Reason``)."""

    READ_ONLY = "read-only"
    NETWORK = "network"
    FUSE = "fuse"
    STACKED = "stacked"
    LOOP = "loop"
    EXCLUDED = "excluded"
    HIDDEN = "hidden"
    UNFREEZABLE = "unfreezable"
    FAILED = "failed"


#: In words that end a sentence which begins with the mount point.
EXPLANATIONS = {
    NotFrozen.READ_ONLY: "is mounted read-only",
    NotFrozen.NETWORK: "is a network file system",
    NotFrozen.FUSE: "is a FUSE file system",
    NotFrozen.STACKED: "lies on another file system",
    NotFrozen.LOOP: "lies in a file of another file system (loop device)",
    NotFrozen.EXCLUDED: "is excluded by MountsToSkip in the guest",
    NotFrozen.HIDDEN: "is hidden by another mount",
    NotFrozen.UNFREEZABLE: "is of a kind that cannot be frozen",
    NotFrozen.FAILED: "could not be frozen",
}

#: Small, written at updates of the boot loader only, and without a way to be frozen: flushed is enough.
_FLUSHED_IS_ENOUGH = frozenset({"vfat", "msdos", "exfat"})


@dataclass(frozen=True)
class MountRecord:
    """One file system in the guest.

    ``why_not`` is null when it was frozen; ``message`` is what the kernel said.
    """

    point: str
    source: str
    type: str
    why_not: NotFrozen | None = None
    message: str = ""

    @property
    def spoils(self) -> bool:
        """Whether it holds data of the VM's own disks that did not stand still."""
        if self.why_not in (NotFrozen.HIDDEN, NotFrozen.FAILED):
            return True
        if self.why_not is NotFrozen.UNFREEZABLE:
            return self.type not in _FLUSHED_IS_ENOUGH
        return self.why_not is NotFrozen.FUSE and self.type == "fuseblk"

    @property
    def sentence(self) -> str:
        """Why it was not frozen, for people; empty when it was."""
        if self.why_not is None:
            return ""
        words = f"{self.point} ({self.type}) {EXPLANATIONS[self.why_not]}"
        return f"{words}: {self.message}" if self.message else words


@dataclass(frozen=True)
class ScriptsRecord:
    """How the guest's scripts went.

    ``at_rest``: all that ran so far succeeded. ``freeze``: they want file systems to be frozen as well.
    ``required``: the guest wants no backup when they fail. ``code``: the extension's number of what went
    wrong, 0 for nothing.
    """

    configured: bool = False
    at_rest: bool = False
    freeze: bool = True
    code: int = 0
    message: str = ""
    required: bool = False

    @property
    def refuse(self) -> bool:
        """Whether the backup must fail because of them."""
        return self.required and self.code != 0


NO_SCRIPTS = ScriptsRecord()


@dataclass(frozen=True)
class FreezeRecord:
    """What stood still, and for how long.

    ``guest_ms``: by the guest's clock, from before the first file system was frozen until after the last was
    thawed; null when the agent froze, which does not tell. ``unlisted`` counts mounts without a record.
    ``reason`` says why the extension did not freeze.
    """

    method: FreezeMethod
    version: str = ""
    guest_ms: int | None = None
    mounts: tuple[MountRecord, ...] = ()
    unlisted: int = 0
    scripts: ScriptsRecord = NO_SCRIPTS
    reason: str = ""

    @property
    def frozen(self) -> tuple[MountRecord, ...]:
        """The file systems that stood still."""
        return tuple(mount for mount in self.mounts if mount.why_not is None)

    @property
    def skipped(self) -> tuple[MountRecord, ...]:
        """Those that did not."""
        return tuple(mount for mount in self.mounts if mount.why_not is not None)
