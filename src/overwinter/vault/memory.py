"""Large buffers that come and go: whether the C library keeps their memory or gives it back.

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


def give_back_freed_memory() -> None:
    """Return what is free now to the kernel, after work with large pieces that does not come again soon."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
