"""Where chunks begin and end: by content, at borders of 4 KiB blocks.

File systems allocate in blocks, so the same files on two disks lie at different offsets, but at borders of
blocks. A block whose hash is small begins a new chunk, wherever it lies; so two disks that share files share
most chunks. The hash is of a sample of the block's words, under weights that are the vault's own: where
chunks end tells nothing to who knows a file and looks for it, and a guest cannot write data for which all
chunks are small. Pure; nothing here knows what a chunk's id is.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from overwinter.vault.storage import Buffer
from overwinter.vault.table import U64, Bools, Rows

#: What chunks are measured in, in bytes: the allocation unit of file systems.
BLOCK = 4096

#: What chunks may have at least, in bytes: powers of two, from a block up to what keeps a whole region of the
#: disk small enough to be read at once (32 MiB).
_CHUNK_SIZES = (BLOCK, 256 * 1024)

DEFAULT_CHUNK_SIZE = 128 * 1024

#: Eighths of the chunk size, which is what a chunk has at least: what it has more on average, what it has at
#: most, and what zeros that are left out have at least.
_MORE, _MOST, _ZEROS = 3, 20, 4

#: One in so many words of a block goes into its hash: reading a quarter of the cache lines is enough.
_SAMPLED = 32

_WORD = np.dtype("<u8")
_WORDS = BLOCK // _WORD.itemsize

#: Bytes that the weights are made of.
SEED_LENGTH = _WORDS // _SAMPLED * _WORD.itemsize

_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Piece:
    """``count`` blocks that follow those before: one chunk, or ``zero`` ones that are not stored."""

    count: int
    zero: bool


class Chunker:
    """Cuts by content into chunks of ``chunk_size`` bytes or more, as every one with this ``seed``."""

    def __init__(self, seed: bytes, chunk_size: int) -> None:
        self.chunk_size = chunk_size
        self._weights = np.frombuffer(seed, _WORD) | np.uint64(1)
        self._least = chunk_size // BLOCK
        self._most = self._least * _MOST // 8
        self._zeros = shortest_zeros(chunk_size)
        # A chunk is as long as the least and then until a block's hash is below this.
        self._below = np.uint64((1 << 32) // (self._least * _MORE // 8 + 1))

    def cut(self, first: int, data: Buffer) -> list[Piece]:  # noqa: ARG002
        """The pieces of whole blocks of data, in order, wherever the ``first`` of them lies.

        Blocks of zeros are left out where many follow each other, and chunks end there: not everywhere, so
        that a guest cannot have single blocks for chunks by zeros between them.
        """
        words = np.frombuffer(data, _WORD).reshape(-1, _WORDS)
        sums = words[:, ::_SAMPLED] @ self._weights
        zero = _zero_blocks(words, sums)
        hashes = (sums ^ sums >> np.uint64(29)) * _MIX >> np.uint64(32)
        beginnings: list[int] = np.flatnonzero(hashes < self._below).tolist()
        pieces: list[Piece] = []
        done = 0
        for begin, end in _long_runs(zero, self._zeros):
            pieces += self._chunks(beginnings, done, begin)
            pieces.append(Piece(end - begin, zero=True))
            done = end
        pieces += self._chunks(beginnings, done, len(words))
        return pieces

    def _chunks(self, beginnings: list[int], begin: int, end: int) -> list[Piece]:
        """The chunks of blocks from ``begin`` to ``end``, of which those at ``beginnings`` may begin one."""
        pieces = []
        while begin < end:
            at = bisect_left(beginnings, begin + self._least)
            stop = min(end, begin + self._most)
            if at < len(beginnings):
                stop = min(stop, beginnings[at])
            pieces.append(Piece(stop - begin, zero=False))
            begin = stop
        return pieces


def is_chunk_size(size: int) -> bool:
    """Whether a vault may have chunks of ``size`` bytes at least."""
    return _CHUNK_SIZES[0] <= size <= _CHUNK_SIZES[1] and not size & (size - 1)


def shortest_zeros(chunk_size: int) -> int:
    """From how many blocks on zeros are left out, where chunks have so many bytes at least."""
    return max(1, chunk_size // BLOCK * _ZEROS // 8)


def _zero_blocks(words: U64, sums: U64) -> Bools:
    """Which blocks are all zeros. The sums of their samples tell of nearly all others that they are not."""
    zero = np.zeros(len(words), bool)
    maybe = np.flatnonzero(sums == 0)
    zero[maybe] = ~words[maybe].any(axis=1)
    return zero


def _long_runs(flags: Bools, least: int) -> list[tuple[int, int]]:
    """Begin and end of every run of at least so many flags that are set."""
    padded = np.zeros(len(flags) + 2, np.int8)
    padded[1:-1] = flags
    edges: Rows = np.flatnonzero(np.diff(padded))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= least
    return list(zip(begins[long].tolist(), ends[long].tolist(), strict=True))
