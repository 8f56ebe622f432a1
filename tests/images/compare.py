"""Do two disks hold the same bytes? QEMU's own answer, independent of our readers."""

from collections.abc import Sequence

from overwinter.images.qemu_img import qemu_img
from overwinter.images.spec import file_name
from overwinter.model.vm import ImageLayer


def same_content(one: Sequence[ImageLayer], other: Sequence[ImageLayer], *, timeout: float) -> bool:
    """Compare two chains (top first) byte for byte; a longer one may have more zeros. Raises ImageError."""
    answer = qemu_img("compare", file_name(*one), file_name(*other), timeout=timeout, accept=(0, 1))
    return b"Images are identical" in answer
