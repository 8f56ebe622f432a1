"""How is an image named to QEMU so that nothing is left to guess?

By a ``json:`` file name that states every layer with its format, down to the base, which is closed with an
explicit "no backing file". QEMU then neither probes a format nor follows the names in the headers: what we
looked at is what is opened.
"""

import json
import stat
from collections.abc import Sequence
from pathlib import Path

from overwinter.model.errors import ImageError
from overwinter.model.vm import DiskFormat, ImageLayer

Node = dict[str, object]


def file_node(path: str) -> Node:
    """The protocol node of a regular file or block device."""
    return {"driver": "host_device" if is_block_device(path) else "file", "filename": path}


def is_block_device(path: str) -> bool:
    """Whether ``path`` is a block device; raises ImageError when it is neither that nor a regular file."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}", cause="C-IMAGE-AWAY") from error
    if stat.S_ISBLK(mode):
        return True
    if not stat.S_ISREG(mode):
        raise ImageError(f"{path} is neither a regular file nor a block device")
    return False


def check_format(layer: ImageLayer) -> None:
    """Raise ImageError when the layer's format is not one that a disk may have."""
    if layer.format not in list(DiskFormat):
        raise ImageError(
            f"{layer.path}: the format {layer.format!r} is not supported; "
            f"convert the disk to {DiskFormat.QCOW2} or {DiskFormat.RAW}"
        )


def chain_node(chain: Sequence[ImageLayer]) -> Node:
    """The format node of a whole chain, top first."""
    node: Node | None = None
    for layer in reversed(chain):
        check_format(layer)
        below = node
        node = {"driver": layer.format, "file": file_node(layer.path)}
        if layer.format == DiskFormat.QCOW2:
            node["backing"] = below
        elif below is not None:
            raise ImageError(f"{layer.path}: a raw image cannot have a backing file")
    if node is None:
        raise ImageError("a chain needs at least one image")
    return node


def file_name(*chain: ImageLayer) -> str:
    """The ``json:`` name of a chain, top first; one layer alone is opened without its backing file."""
    return "json:" + json.dumps(chain_node(chain))
