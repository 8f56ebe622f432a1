"""What "1 % changed" means: pieces of 64 KiB scattered over the image's data, the same for every tool."""

import random
from pathlib import Path

import nbd

from bench.image import Image

PIECE = 64 * 1024
FRACTION = 0.01
_SEED = 1


def scattered_pieces(image: Image) -> list[int]:
    """Offsets of the pieces, ascending; together they are 1 % of the image's data."""
    places = [
        start
        for offset, length in image.data
        for start in range(-(-offset // PIECE) * PIECE, offset + length - PIECE + 1, PIECE)
    ]
    return sorted(random.Random(_SEED).sample(places, max(1, round(len(places) * FRACTION))))


def overwrite(path: Path, pieces: list[int]) -> None:
    """Fill the pieces of a qcow2 image, which may have a backing file, with random bytes; through QEMU."""
    source = random.Random(_SEED)
    connection = nbd.NBD()
    connection.connect_systemd_socket_activation(["qemu-nbd", "--format=qcow2", str(path)])
    for offset in pieces:
        connection.pwrite(source.randbytes(PIECE), offset)
    connection.flush()
    connection.shutdown()  # qemu-nbd ends with its last client; dropping the handle waits for that
