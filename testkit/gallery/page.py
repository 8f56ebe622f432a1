"""docs/fault-gallery.md: every fault with what a user sees, what it means, and what mends it."""

from collections.abc import Iterable
from pathlib import Path

from overwinter.codebook.book import causes
from overwinter.codebook.texts import texts_in
from testkit.gallery.fault import Fault

PAGE = Path(__file__).parents[2] / "docs" / "fault-gallery.md"

_HEAD = """\
# The fault gallery

Failures that `make gallery` makes real, one after the other. A VM is hurt, and a backup, or the operation
that the fault is about, is tried. The code and the first cause are compared, and what the product can mend,
it mends. When the fault is over the next backup must be right, bit for bit. Some of them only:
`make gallery FAULTS="'VM paused'"`.

At last the doctor visits healthy VMs of many kinds, where it may warn of nothing.

Where the last column names a repair, the product does it: the next backup by itself (`backup`, `chunk-heal`),
or the job that mends a VM. Without a code there is nothing to tell: the backup mends it on its way, or is
right in spite of it (`nobody`). Else a person does what the cause's remedies say: `overwinter explain CODE`.

This page is written by `python -m testkit.gallery --page`; a test compares it with the faults.

| Fault | What happened | Code | First cause | Mended by |
|---|---|---|---|---|
"""


def page(faults: Iterable[Fault]) -> str:
    """The whole page."""
    english = texts_in("en")
    known = causes()
    rows = []
    for fault in faults:
        code = f"`{fault.code}`" if fault.code else "none"
        cause = "" if fault.cause is None else f"`{fault.cause}`: {english.cause(known[fault.cause])}"
        mended_by = ("a person" if fault.code else "nobody") if fault.repair is None else f"`{fault.repair}`"
        rows.append(f"| {fault.name} | {fault.seen} | {code} | {cause} | {mended_by} |\n")
    return _HEAD + "".join(rows)
