"""One step on a vault of the benchmark, in a process of its own so that its memory is its own."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.changes import PIECE
from bench.point import TARGET, manifest_of
from bench.vault.disk import SyntheticDisk
from overwinter.model.extent import Extent
from overwinter.vault import DiskMap, KeySource, VaultStore, open_vault


def store(
    vault: VaultStore, point: str, disk: SyntheticDisk, extents: list[Extent], parent: DiskMap | None
) -> tuple[DiskMap, int]:
    """Add a point of the disk; gives its map and the bytes read."""
    with vault.session(point) as session:
        disk_map = session.store_disk(TARGET, disk.size, extents, disk.read, parent)
        session.commit(manifest_of(point, disk_map))
        return disk_map, session.stats.bytes_read


def first(vault: VaultStore, size: int) -> dict[str, object]:
    """A first point of a disk full of data."""
    disk = SyntheticDisk("first", size)
    return {"bytes_read": store(vault, "first", disk, [Extent(0, size)], None)[1]}


def increment(vault: VaultStore, parent: str, fraction: float) -> dict[str, object]:
    """A point of a disk of which scattered pieces have changed since its parent."""
    known = vault.manifest(parent).disks[0].map
    disk = SyntheticDisk(parent, known.size)
    changed = [Extent(offset, PIECE) for offset in disk.overwrite(fraction, 1)]
    return {
        "bytes_read": store(vault, "increment", disk, changed, known)[1],
        "bytes_changed": len(changed) * PIECE,
    }


def series(vault: VaultStore, size: int, increments: int, fraction: float) -> dict[str, object]:
    """A first point and so many increments."""
    disk = SyntheticDisk("series", size)
    disk_map, read = store(vault, "0", disk, [Extent(0, size)], None)
    for number in range(1, increments + 1):
        changed = [Extent(offset, PIECE) for offset in disk.overwrite(fraction, number)]
        disk_map, more = store(vault, str(number), disk, changed, disk_map)
        read += more
    return {"bytes_read": read}


def collect(vault: VaultStore) -> dict[str, object]:
    """A collection."""
    return asdict(vault.collect(now=datetime.now(UTC)))


def main() -> None:
    """Take one step and print what it tells as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.vault.step")
    parser.add_argument("vault", type=Path)
    parser.add_argument("key", type=Path)
    actions = parser.add_subparsers(dest="action", required=True)
    a_first = actions.add_parser("first")
    a_first.add_argument("size", type=int)
    an_increment = actions.add_parser("increment")
    an_increment.add_argument("parent")
    an_increment.add_argument("fraction", type=float)
    a_series = actions.add_parser("series")
    a_series.add_argument("size", type=int)
    a_series.add_argument("increments", type=int)
    a_series.add_argument("fraction", type=float)
    actions.add_parser("collect")
    given = vars(parser.parse_args())
    vault = open_vault(given.pop("vault").as_uri(), KeySource.from_key_file(given.pop("key")))
    steps: dict[str, Callable[..., dict[str, object]]] = {
        "first": first,
        "increment": increment,
        "series": series,
        "collect": collect,
    }
    print(json.dumps(steps[given.pop("action")](vault, **given)))
    vault.close()


if __name__ == "__main__":
    main()
