"""Damage to what a vault holds: bits flipped, objects cut and lost."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, Told, told
from testkit.gallery.scene import Scene

_CORRUPT = "VaultDataCorrupt"
_MISSING = "VaultObjectMissing"

_REBUILD = "index-rebuild"
_HEAL = "chunk-heal"

Damage = Callable[[Path], None]


def _flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    """As after a power failure, on storage that had promised too much."""
    path.write_bytes(b"")


def _make_noise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _damaged(
    which: str, damage: Damage, *, newest: bool = False
) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Damage to all objects of a kind, or the newest one, in a vault with two points; never taken back."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.in_own_vault()
        patient.backup_is_right()
        objects = sorted(
            (path for path in patient.vault.glob(which) if path.is_file()),
            key=lambda path: path.stat().st_mtime_ns,
        )
        for path in objects[-1:] if newest else objects:
            damage(path)
        patient.reopen_vault()
        yield patient

    return inject


def _verify(patient: Patient) -> Told:
    return told(patient, patient.verify)


_LARGE_PACKS = "packs/**/*"

FAULTS = (
    Fault(
        "index damaged",
        "A bit of the vault's index has flipped.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged("index/**/*", _flip),
        repair=_REBUILD,
    ),
    Fault(
        "index lost",
        "Somebody deleted the vault's index.",
        _MISSING,
        "C-OBJECT-LOST",
        _damaged("index/**/*", Path.unlink),
        repair=_REBUILD,
    ),
    Fault(
        "newest index cut off",
        "Half of the newest index object is missing.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged("index/**/*", _cut, newest=True),
        repair=_REBUILD,
    ),
    Fault(
        "config damaged",
        "A bit of the vault's config has flipped.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged("config", _flip),
        repair=_REBUILD,
    ),
    Fault(
        "config lost",
        "Somebody deleted the vault's config.",
        _MISSING,
        "C-OBJECT-LOST",
        _damaged("config", Path.unlink),
        repair=_REBUILD,
    ),
    Fault(
        "data damaged",
        "A bit of the stored data has flipped.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged(_LARGE_PACKS, _flip, newest=True),
        _verify,
        repair=_HEAL,
    ),
    Fault(
        "data cut off",
        "Half of a pack is missing.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged(_LARGE_PACKS, _cut, newest=True),
        _verify,
        repair=_HEAL,
    ),
    Fault(
        "data lost",
        "Somebody deleted a pack.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged(_LARGE_PACKS, Path.unlink, newest=True),
        _verify,
        repair=_HEAL,
    ),
    Fault(
        "data emptied",
        "A power failure left a pack of no bytes.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged(_LARGE_PACKS, _empty, newest=True),
        _verify,
        repair=_HEAL,
    ),
    Fault(
        "data overwritten",
        "A pack is noise from beginning to end.",
        _CORRUPT,
        "C-STORAGE-DEFECT",
        _damaged(_LARGE_PACKS, _make_noise, newest=True),
        _verify,
        repair=_HEAL,
    ),
    Fault(
        "all data lost",
        "Somebody deleted all packs.",
        _MISSING,
        "C-OBJECT-LOST",
        _damaged(_LARGE_PACKS, Path.unlink),
        repair="backup",
    ),
    Fault(
        "a point's manifest damaged",
        "A bit of the newest point's manifest has flipped.",
        _MISSING,
        "C-OBJECT-LOST",
        _damaged("manifests/**/*", _flip, newest=True),
        repair="backup",
    ),
    Fault(
        "a point's manifest lost",
        "Somebody deleted the newest point's manifest.",
        _MISSING,
        "C-OBJECT-LOST",
        _damaged("manifests/**/*", Path.unlink, newest=True),
        repair="backup",
    ),
)
