"""objects: into how many objects a series of small increments goes, before and after a collection."""

import json
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools.overwinter import Overwinter

#: What changes of the disk from day to day, in pieces of 64 KiB.
_FRACTION = 0.001


def rows(stage: Stage, size: int, increments: int) -> Iterator[Row]:
    """A first point of a full disk and its increments; then a collection."""
    vault = Overwinter().repository(stage)
    before = stored(vault.path)
    done = vault.step("bench.vault.step", "series", str(size), str(increments), str(_FRACTION))
    yield stage.row(
        Overwinter.name,
        "objects",
        done,
        bytes_read=json.loads(done.output)["bytes_read"],
        bytes_stored=stored(vault.path) - before,
        details={"points": increments + 1, **_objects(vault.path)},
    )
    before = stored(vault.path)
    done = vault.step("bench.vault.step", "collect")
    yield stage.row(
        Overwinter.name,
        "objects_collected",
        done,
        bytes_read=done.rchar,
        bytes_stored=stored(vault.path) - before,
        details={**json.loads(done.output), **_objects(vault.path)},
    )


def _objects(vault: Path) -> dict[str, float]:
    """How many objects a vault has, and how much they hold on average."""
    found = [path for path in vault.rglob("*") if path.is_file()]
    places = [path.relative_to(vault).parts[0] for path in found]
    return {
        "objects": len(found),
        "objects_packs": places.count("packs"),
        "objects_index": places.count("index"),
        "objects_manifests": places.count("manifests"),
        "bytes_by_object": round(stored(vault) / len(found)),
    }
