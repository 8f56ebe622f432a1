"""The one decision that makes increments safe: which layers of a chain are new since the last transfer.

A disk map in the vault is the content of some frozen layers (the track). When the chain of a new point ends
in exactly those layers, unmodified, then the new content is the old one plus whatever the layers above
hold, whatever they are and whoever wrote them: QEMU resolves reads the same way. In every other case nothing
is known and the disk is read in full; equal chunks are found again by their hash and not stored twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from overwinter.catalog.tracks import Track
from overwinter.images.identity import LayerIdentity


@dataclass(frozen=True)
class Increment:
    """Read only the top ``depth`` layers; null means read everything. ``reason`` is for people."""

    depth: int | None
    reason: str


def decide(track: Track | None, *, size: int, chunk_size: int, chain: Sequence[LayerIdentity]) -> Increment:
    """How to read a disk whose frozen chain, top first, has the identities ``chain``."""
    if track is None:
        return Increment(None, "first transfer of this disk")
    if track.size != size:
        return Increment(None, f"the disk was resized from {track.size} to {size} bytes")
    if track.chunk_size != chunk_size:
        return Increment(None, "the vault's chunk size is another one")
    known = [LayerIdentity.from_json(layer) for layer in track.layers]
    for depth in range(len(chain)):
        if list(chain[depth:]) == known:
            return Increment(depth, f"{depth} new layer(s) over the last transferred point")
    return Increment(None, "the disk's images are not those of the last transfer")
