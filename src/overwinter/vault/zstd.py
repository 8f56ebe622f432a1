"""Decompression that takes no more memory than the caller allows, whatever the data says of itself."""

import zstandard

from overwinter.vault.storage import Buffer


def decompress(decompressor: zstandard.ZstdDecompressor, compressed: Buffer, most: int) -> bytes:
    """The content of one frame, at most ``most`` bytes. Raises ``zstandard.ZstdError``."""
    size = zstandard.frame_content_size(compressed)
    if not 0 <= size <= most:
        raise zstandard.ZstdError(f"its size is unknown, or more than {most} bytes")
    return decompressor.decompress(compressed)
