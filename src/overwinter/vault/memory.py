"""Large buffers that come and go: have the C library keep their memory instead of giving it back each time.

Every segment of a restore is read, decrypted and decompressed into new memory of megabytes. By default glibc
returns that to the kernel at once and faults it in again, page by page: a third of a restore's system time. A
few buffers' worth of freed memory stays with the process instead.
"""

import ctypes
from functools import cache

# mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_MMAP_BYTES = 32 * 1024 * 1024
_TRIM_BYTES = 64 * 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Set this for the process, once; does nothing with a C library that has no such setting."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
