"""Of which files does a disk consist, and in which formats?

Each layer is asked on its own, with its format stated and its backing file left closed. ``qemu-img info
--backing-chain`` would probe a backing file whose header names no format, and a guest that owns a raw disk
can make that probe see a qcow2 image that points at any file of the host.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overwinter.images.qemu_img import qemu_img
from overwinter.images.spec import check_format, file_name
from overwinter.model.errors import ChainUnexpected, ImageError
from overwinter.model.vm import DiskFormat, ImageLayer

#: Far above what libvirt can start; a longer chain is a broken one.
MAX_LAYERS = 200


@dataclass(frozen=True)
class LayerFacts:
    """What the header of one layer says.

    ``size`` is the virtual size in bytes; ``cluster_size`` is null for raw images; ``backing`` is the next
    lower layer or null.
    """

    layer: ImageLayer
    size: int
    cluster_size: int | None
    backing: ImageLayer | None


def read_layer(layer: ImageLayer) -> LayerFacts:
    """Read the header of one image, also while a virtual machine writes to it.

    Raises ImageError (with QEMU's words where it refuses the image) for an unreadable header, an external
    data file, and a backing file without a recorded format or that is not a local file.
    """
    check_format(layer)
    # -U: a running guest holds the lock of its top image; it does not change what is read here.
    answer = json.loads(_info(layer))
    details = answer.get("format-specific", {}).get("data", {})
    if "data-file" in details:
        raise ImageError(
            f"{layer.path} keeps its data in another file ({details['data-file']}), which is not supported"
        )
    return LayerFacts(
        layer=layer,
        size=int(answer["virtual-size"]),
        cluster_size=int(answer["cluster-size"]) if layer.format == DiskFormat.QCOW2 else None,
        backing=_backing(layer, answer),
    )


def _info(layer: ImageLayer) -> bytes:
    try:
        return qemu_img("info", "-U", "--output=json", file_name(layer))
    except ImageError as error:
        raise ImageError(error.message, cause=error.cause or _why_refused(layer)) from error


def _why_refused(layer: ImageLayer) -> str:
    """The cause of QEMU's refusal: a file that can be read and is still no image is damaged."""
    try:
        with Path(layer.path).open("rb") as file:
            file.read(1)
    except OSError:
        return "C-IMAGE-AWAY"
    return "C-IMAGE-DAMAGED"


def _backing(layer: ImageLayer, answer: dict[str, str]) -> ImageLayer | None:
    name = answer.get("backing-filename")
    if name is None:
        return None
    kind = answer.get("backing-filename-format")
    if kind is None:
        raise ImageError(
            f"{layer.path} does not record the format of its backing file {name}, and guessing it is unsafe; "
            f"record it while the VM is off: "
            f"qemu-img rebase -u -f {layer.format} -F raw|qcow2 -b {name} {layer.path}"
        )
    if ":" in name.split("/", 1)[0]:
        raise ImageError(f"{layer.path}: the backing file {name} is not a local file, which is not supported")
    # As QEMU and libvirt do it: a relative name counts from the directory of the layer that holds it.
    return ImageLayer(os.path.join(os.path.dirname(layer.path), name), kind)  # noqa: PTH118, PTH120


def read_chain(path: str, format: str) -> tuple[ImageLayer, ...]:  # noqa: A002
    """All layers of the image at ``path``, top first, formats from the headers above, never probed.

    Raises ImageError as ``read_layer`` does, and when the chain leads back to one of its own files.
    """
    layers: list[ImageLayer] = []
    seen: set[tuple[int, int]] = set()
    layer: ImageLayer | None = ImageLayer(str(Path(path).absolute()), format)
    while layer is not None:
        facts = read_layer(layer)
        status = Path(layer.path).stat()
        key = (status.st_dev, status.st_ino)
        if key in seen:
            raise ImageError(
                f"the backing chain of {path} leads back to {layer.path}", cause="C-IMAGE-DAMAGED"
            )
        if len(layers) == MAX_LAYERS:
            raise ImageError(f"the backing chain of {path} has more than {MAX_LAYERS} layers")
        seen.add(key)
        layers.append(layer)
        layer = facts.backing
    return tuple(layers)


def check_chain(chain: Sequence[ImageLayer]) -> None:
    """Raise ChainUnexpected when the headers tell of another chain than ``chain`` (top first).

    To open an image with given layers instead of those it was written on would read other bytes than the
    guest saw. Raises ImageError as ``read_layer`` does.
    """
    found = read_chain(chain[0].path, chain[0].format)
    same = len(found) == len(chain) and all(
        real.format == said.format and Path(real.path).samefile(said.path)
        for real, said in zip(found[1:], chain[1:], strict=True)
    )
    if not same:
        names = " on ".join(layer.path for layer in found)
        raise ChainUnexpected(f"the chain of {chain[0].path} is not the expected one, but {names}")


def virtual_size(layer: ImageLayer) -> int:
    """Size in bytes of the disk that the guest sees through this layer."""
    return read_layer(layer).size
