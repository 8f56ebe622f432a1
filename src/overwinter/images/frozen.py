"""What a frozen disk offers to those who copy it: its size, what changed, its bytes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType

from overwinter.model.extent import Extent


class FrozenDisk(AbstractContextManager["FrozenDisk"], ABC):
    """A disk that nobody writes to, opened for reading. Close it, or use it in a ``with`` statement.

    ``size`` is the virtual size in bytes.
    """

    size: int

    @abstractmethod
    def extents(self, depth: int | None) -> Iterator[Extent]:
        """Ranges worth looking at, ascending, not overlapping, found while iterating.

        ``depth`` null: all ranges that may hold data; what lies in no extent reads as zeros. ``depth`` n (1
        = top): all ranges written, zeroed or discarded in the upper n layers, so that outside of them the
        disk reads as layer n + 1 alone does, extended by zeros where that layer is smaller. Ranges known to
        read as zeros are marked ``zero``: they may have held data below.

        Extents may touch; memory does not grow with the disk. Raises ImageError.
        """

    @abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``; may be called from many threads at once.

        Raises ImageError that names file and offset; the buffer's content is undefined then.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the files go."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_depth(depth: int | None, layers: int) -> None:
    """Raise ValueError when ``depth`` is none that a chain of so many ``layers`` has."""
    if depth is not None and not 1 <= depth <= layers:
        raise ValueError(f"depth {depth} of a chain of {layers} layers")
