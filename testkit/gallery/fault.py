"""What a fault is: how it comes about, what the product must say of it, and what mends it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from testkit.gallery.patient import Patient, Told, backup
from testkit.gallery.scene import Scene


def _nothing(_patient: Patient) -> None:
    return None


@dataclass(frozen=True)
class Fault:
    """One real failure.

    ``seen``: what a user would say happened. ``inject`` makes it so, yields the VM that has it, and takes it
    back at the end, also after it was mended. ``attempt`` is the operation that fails over it; ``code`` and
    ``cause`` (ids of the code book) are what must be told: empty and null where there is nothing to tell,
    because the backup mends it on its way, or is right in spite of it.

    ``repair`` is the id of the code book's remedies by which the product mends it itself while the fault is
    there (``backup``: the next backup does); null where a person has to act, or nobody has to.
    ``before_repair`` is what must come first from outside, like room on a full disk.

    ``place`` is the service it happens to: a support profile, or a kind that `scene` names.
    """

    name: str
    seen: str
    code: str
    cause: str | None
    inject: Callable[[Scene], AbstractContextManager[Patient]]
    attempt: Callable[[Patient], Told] = backup
    repair: str | None = None
    before_repair: Callable[[Patient], None] = _nothing
    place: str = "overwinter"
