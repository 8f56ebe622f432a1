"""Which consistency a snapshot has earned, by what stood still while it was taken.

The guest is not trusted beyond its own label: what it says raises or lowers the label of its own points, and
nothing else.
"""

from dataclasses import dataclass

from overwinter.model.freeze import FreezeRecord
from overwinter.model.point import Consistency


@dataclass(frozen=True)
class Earned:
    """A label, and what kept it from being a higher one; empty when nothing did.

    ``cause`` is the code book's id of that, where the guest's account leaves no other.
    """

    consistency: Consistency
    shortfall: str = ""
    cause: str | None = None


def earned(record: FreezeRecord) -> Earned:
    """The label of a snapshot during which the extension held all frozen until it was told to thaw."""
    spoiled = [mount.sentence for mount in record.mounts if mount.spoils]
    if spoiled:
        return Earned(Consistency.CRASH, "Not all file systems stood still: " + "; ".join(spoiled) + ".")
    if not record.scripts.freeze:
        return Earned(Consistency.CRASH, "The configuration of scripts in the guest forbids to freeze.")
    if not record.frozen:
        return Earned(Consistency.CRASH, "The guest has no file system that can be frozen.", "C-NO-FS")
    scripts = record.scripts
    if not scripts.configured:
        return Earned(Consistency.FILE_SYSTEM)
    if not scripts.at_rest:
        return Earned(Consistency.FILE_SYSTEM, f"The applications were not at rest: {scripts.message}")
    return Earned(Consistency.APPLICATION)
