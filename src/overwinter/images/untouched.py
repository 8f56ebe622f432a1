"""Whether an overlay that was made for a snapshot ever came into use, by what the file itself shows.

libvirt does not always know. Its daemon may be killed after QEMU has gone on in the overlays, and before it
has noted that: then it names the images below for as long as the VM runs, and what the guest writes is
nowhere but in a file that nobody seems to need. Found by killing libvirtd at random instants (libvirt 9.0).
"""

import os
import struct

from overwinter.images.lock import is_locked
from overwinter.model.errors import ImageError

#: Magic and, at byte 36, entries and offset of the L1 table (QEMU's ``docs/interop/qcow2.txt``).
_HEADER = struct.Struct(">4s32xIQ")
_MAGIC = b"QFI\xfb"
_ENTRY_BYTES = 8

#: QEMU opens no image with a larger table (``QCOW_MAX_L1_SIZE`` in its ``block/qcow2.h``).
_MOST_BYTES = 32 << 20


def came_into_use(path: str) -> str | None:
    """What shows that it did, to end a sentence that begins with the path; null when nothing does.

    A file that is not there, or that ``qemu-img create`` has not finished, never was. Raises ImageError.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        if is_locked(file):
            return "is held open by QEMU"
        return "has been written to" if _has_clusters(file) else None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(file)


def _has_clusters(file: int) -> bool:
    head = os.pread(file, _HEADER.size, 0)
    if len(head) < _HEADER.size:
        return False
    magic, entries, offset = _HEADER.unpack(head)
    return magic == _MAGIC and any(os.pread(file, min(entries * _ENTRY_BYTES, _MOST_BYTES), offset))
