"""Merging layers of a machine that is shut off: an overlay's data goes down into the file below it.

One step, ``merge_down``, for ``above`` → ``upper`` → ``lower``: (1) copy what ``upper`` holds into
``lower``, (2) make that durable, (3) let ``above`` rest on ``lower``. Every disk that rests on ``upper``
reads the same at any moment, so that a crash needs nothing but the same call again:

- during (1): ``lower`` is a mixture and no longer a restore point, but ``upper`` still covers every range
  that is copied. Again: all is copied anew.
- between (1) and (3): the whole chain stands, with ``upper`` adding nothing new. Again: as before.
- after (3): ``above`` rests on ``lower``. Again: this is seen and nothing is done.

``upper`` itself is never changed; when the call has returned, nothing needs it any more and the caller
removes it. QEMU's image lock makes all of this fail, without a change, while a machine or a reader has a
file open.
"""

from collections.abc import Callable
from pathlib import Path

from overwinter.images.chain import read_layer
from overwinter.images.qemu_img import never, qemu_img
from overwinter.images.spec import file_name
from overwinter.images.writer import sync
from overwinter.model.errors import ChainUnexpected, ImageError
from overwinter.model.vm import ImageLayer


def merge_down(
    upper: ImageLayer,
    lower: ImageLayer,
    above: ImageLayer | None,
    *,
    timeout: float,
    cancelled: Callable[[], bool] = never,
) -> None:
    """Merge ``upper`` into ``lower``, its backing file, and put ``above``, if any, on ``lower``.

    ``lower`` grows when ``upper`` is larger. ``timeout`` in seconds bounds the copying, and ``cancelled`` is
    asked during it; after both the call can be repeated. Raises ChainUnexpected, with nothing changed, when
    the files do not rest on each other as said or ``upper`` is smaller than ``lower``; ImageError when QEMU
    refuses; JobCancelled.
    """
    if above is not None:
        if _rests_on(above, lower):
            return
        if not _rests_on(above, upper):
            raise ChainUnexpected(f"{above.path} does not rest on {upper.path}")
    if not _rests_on(upper, lower):
        raise ChainUnexpected(f"{upper.path} does not rest on {lower.path}")
    if read_layer(upper).size < read_layer(lower).size:
        raise ChainUnexpected(
            f"{upper.path} is smaller than {lower.path}, so that merging would uncover what lies "
            "behind its end; copy the disk with qemu-img convert instead"
        )
    # -d: keep upper as it is; emptying it would change a file that others may still identify.
    qemu_img("commit", "-q", "-d", file_name(upper, *_below(upper)), timeout=timeout, cancelled=cancelled)
    sync(lower.path)
    if above is not None:
        base = str(Path(lower.path).absolute())
        qemu_img("rebase", "-q", "-u", "-f", above.format, "-F", lower.format, "-b", base, above.path)
        sync(above.path)


def _below(layer: ImageLayer) -> tuple[ImageLayer, ...]:
    backing = read_layer(layer).backing
    return () if backing is None else (backing, *_below(backing))


def _rests_on(layer: ImageLayer, lower: ImageLayer) -> bool:
    backing = read_layer(layer).backing
    if backing is None or backing.format != lower.format:
        return False
    try:
        return Path(backing.path).samefile(lower.path)
    except OSError as error:
        raise ImageError(f"{backing.path} below {layer.path}: {error.strerror}") from error
