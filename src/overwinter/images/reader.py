"""Open a frozen chain for reading, in the fastest way that is right for it."""

from collections.abc import Sequence

from overwinter.images.chain import check_chain
from overwinter.images.frozen import FrozenDisk
from overwinter.images.mapped import MappedDisk
from overwinter.images.rawfile import RawDisk
from overwinter.model.vm import DiskFormat, ImageLayer


def open_frozen(chain: Sequence[ImageLayer]) -> FrozenDisk:
    """Open the frozen layers ``chain`` (top first) as one disk.

    The layers must not change meanwhile; running machines may have them as read-only backing files. Programs
    that respect QEMU's image lock cannot open them for writing until the disk is closed. Raises
    ChainUnexpected when the files do not rest on each other as said, ImageError when they cannot be read.
    """
    check_chain(chain)
    if len(chain) == 1 and chain[0].format == DiskFormat.RAW:
        return RawDisk(chain[0].path)
    return MappedDisk(chain)
