"""Freeze records as the catalog keeps them."""

from dataclasses import asdict
from typing import Any

from overwinter.model.freeze import FreezeMethod, FreezeRecord, MountRecord, NotFrozen, ScriptsRecord


def freeze_to_json(record: FreezeRecord | None) -> dict[str, object] | None:
    """A record as JSON; null for none."""
    return None if record is None else asdict(record)


def freeze_from_json(kept: dict[str, Any] | None) -> FreezeRecord | None:
    """The other way."""
    if kept is None:
        return None
    changed = {
        "method": FreezeMethod(kept["method"]),
        "mounts": tuple(_mount(mount) for mount in kept["mounts"]),
        "scripts": ScriptsRecord(**kept["scripts"]),
    }
    return FreezeRecord(**{**kept, **changed})


def _mount(kept: dict[str, Any]) -> MountRecord:
    why_not = kept["why_not"]
    return MountRecord(**{**kept, "why_not": None if why_not is None else NotFrozen(why_not)})
