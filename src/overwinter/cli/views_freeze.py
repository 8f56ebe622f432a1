"""What stood still at a recovery point, in the words of the model."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class FrozenView:
    """A file system of the guest that stood still."""

    mount_point: str
    source: str
    file_system: str


@dataclass(frozen=True)
class FreezeView:
    """Who froze (``extension`` or ``agent``, then ``reason`` says why), for how long by the guest's clock.

    ``skipped`` are sentences, one for each file system that did not stand still; ``unlisted`` counts others.
    ``scripts`` is null when none are configured in the guest, else whether they succeeded.
    """

    method: str
    extension_version: str | None
    reason: str | None
    guest_ms: int | None
    frozen: tuple[FrozenView, ...]
    skipped: tuple[str, ...]
    unlisted: int
    scripts: bool | None

    @classmethod
    def read(cls, arm: dict[str, Any]) -> Self:
        """From our own part of a recovery point."""
        scripts = arm["scripts"]
        return cls(
            method=arm["method"],
            extension_version=arm["extensionVersion"],
            reason=arm["reason"],
            guest_ms=arm["guestMs"],
            frozen=tuple(
                FrozenView(mount["mountPoint"], mount["source"], mount["fileSystem"])
                for mount in arm["frozen"]
            ),
            skipped=tuple(mount["reason"] for mount in arm["skipped"]),
            unlisted=arm["unlisted"],
            scripts=scripts["succeeded"] if scripts["configured"] else None,
        )
