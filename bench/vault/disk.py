"""A disk of any size that is nowhere: its content is made when it is read.

Each piece of 64 KiB is one third random bytes, two thirds a pattern: it compresses like files do and equals
no other piece.
"""

import random

from bench.changes import PIECE

_RANDOM = PIECE // 3
_PATTERN = 64


class SyntheticDisk:
    """Made with the same content by everybody who gives the same ``name``."""

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._name = name
        self._versions: dict[int, int] = {}

    def overwrite(self, fraction: float, version: int) -> list[int]:
        """Change scattered pieces, ``fraction`` of the disk; gives their offsets, ascending."""
        pieces = self.size // PIECE
        source = random.Random(f"{self._name} {version}")
        changed = sorted(source.sample(range(pieces), max(1, round(pieces * fraction))))
        self._versions.update((piece, version) for piece in changed)
        return [piece * PIECE for piece in changed]

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from an offset."""
        done = 0
        while done < len(buffer):
            piece, within = divmod(offset + done, PIECE)
            content = self._content(piece, self._versions.get(piece, 0))[within : within + len(buffer) - done]
            buffer[done : done + len(content)] = content
            done += len(content)

    def _content(self, piece: int, version: int) -> bytes:
        start = random.Random(f"{self._name} {piece} {version}").randbytes(_RANDOM)
        return (start + start[:_PATTERN] * (PIECE // _PATTERN))[:PIECE]
