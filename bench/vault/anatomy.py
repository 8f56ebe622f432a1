"""What the objects of a local vault hold, in bytes: data, maps, index, and so on.

Frames of packs are plain, so no key is needed. Read as docs/vault-format.md says, apart from the program.
"""

import struct
from collections import Counter
from pathlib import Path

_HEADER = 40
_FRAME = struct.Struct(">IIBBxx")
_TRAILER = struct.Struct(">I")
_KINDS = {1: "chunks", 2: "maps", 3: "directories"}


class Anatomy:
    """Watches what a vault of real packs grows by; a vault that is not there yet is empty."""

    def __init__(self, vault: Path) -> None:
        self._vault = vault
        self._before: set[Path] = set()
        self.grown()

    def grown(self) -> Counter[str]:
        """Bytes of the objects that are new since the last time, by what they hold.

        These are chunks, maps, directories, index, manifests and other.
        """
        now = {path for path in self._vault.rglob("*") if path.is_file()}
        new, self._before = now - self._before, now
        found: Counter[str] = Counter()
        for path in new:
            place = path.relative_to(self._vault).parts[0]
            if place == "packs":
                found += _pack(path)
            else:
                found[place if place in ("index", "manifests") else "other"] += path.stat().st_size
        return found


def overhead(grown: Counter[str], changed: int) -> dict[str, float]:
    """What of a vault's growth says which data there is, but is none, by the bytes that had changed."""
    maps = grown["maps"]
    index = grown["index"] + grown["directories"]
    return {
        "bytes_maps": maps,
        "bytes_index": index,
        "overhead_by_changed": round((maps + index + grown["manifests"]) / changed, 4),
    }


def _pack(path: Path) -> Counter[str]:
    found = Counter(other=_HEADER + _TRAILER.size)
    end = path.stat().st_size - _TRAILER.size
    with path.open("rb") as file:
        place = _HEADER
        while place < end:
            file.seek(place)
            length, _, kind, _ = _FRAME.unpack(file.read(_FRAME.size))
            found[_KINDS[kind]] += _FRAME.size + length
            place += _FRAME.size + length
    return found
