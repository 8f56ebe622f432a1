"""One backup or restore of Overwinter, in a process of its own so that its memory is that of this step alone.

Put together as ``overwinter.jobs.transfer`` and ``overwinter.jobs.restore`` do it, without catalog and VM.
"""

import argparse
import json
from pathlib import Path

from bench.point import TARGET, manifest_of
from overwinter.images.identity import identify
from overwinter.images.reader import open_frozen
from overwinter.images.writer import create_image, open_writer
from overwinter.model.errors import ChainUnexpected
from overwinter.model.vm import DiskFormat, ImageLayer
from overwinter.vault import KeySource, VaultStore, open_vault


def back_up(store: VaultStore, point: str, parent: str | None, chain: list[str]) -> int:
    """Store a chain of qcow2 layers, top first; with ``parent`` only its top layer is read.

    Gives the bytes read.
    """
    layers = [identify(path) for path in chain]
    known = None if parent is None else store.manifest(parent).disks[0].map
    with (
        open_frozen([ImageLayer(path, DiskFormat.QCOW2) for path in chain]) as disk,
        store.session(point) as session,
    ):
        disk_map = session.store_disk(
            target=TARGET,
            size=disk.size,
            extents=disk.extents(None if known is None else 1),
            read=disk.read_into,
            parent=known,
        )
        if [identify(path) for path in chain] != layers:
            raise ChainUnexpected("The image was changed during the benchmark.")
        session.commit(manifest_of(point, disk_map))
        return session.stats.bytes_read


def restore(store: VaultStore, point: str, image_format: str, path: str) -> None:
    """Write the disk of a point into a new image."""
    disk = store.manifest(point).disks[0]
    create_image(path, image_format, disk.size)
    with open_writer(path, image_format) as writer:
        store.restore_disk(disk.map, writer.write, target=TARGET)
        writer.finish()


def main() -> None:
    """Take one step and print what it read as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.step")
    parser.add_argument("vault", type=Path)
    parser.add_argument("key", type=Path)
    actions = parser.add_subparsers(dest="action", required=True)
    backing_up = actions.add_parser("backup")
    backing_up.add_argument("--point", required=True)
    backing_up.add_argument("--parent")
    backing_up.add_argument("chain", nargs="+")
    restoring = actions.add_parser("restore")
    restoring.add_argument("--point", required=True)
    restoring.add_argument("--format", required=True)
    restoring.add_argument("path")
    chosen = parser.parse_args()
    store = open_vault(chosen.vault.as_uri(), KeySource.from_key_file(chosen.key))
    if chosen.action == "backup":
        print(json.dumps({"bytes_read": back_up(store, chosen.point, chosen.parent, chosen.chain)}))
    else:
        restore(store, chosen.point, chosen.format, chosen.path)
    store.close()


if __name__ == "__main__":
    main()
