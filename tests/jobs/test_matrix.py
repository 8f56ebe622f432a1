"""Every combination of disk formats, counts and VM states: restored bytes equal, increments small."""

from uuid import uuid4

import pytest

from overwinter.model.point import Consistency
from testkit.disks import MIB, PIECE, DiskSpec, realistic_data, scattered_offsets, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

SIZE = 128 * MIB
TARGETS = ("vda", "vdb", "vdc")


#: In a running guest three disks of one format show nothing that one disk and mixed ones do not.
RUNNING = [("qcow2",), ("raw",), ("qcow2", "raw", "qcow2")]
STOPPED = [*RUNNING, ("qcow2", "qcow2", "qcow2"), ("raw", "raw", "raw")]
#: What mixed disks of a running guest and single ones of a stopped guest show too.
LONG = {
    (("qcow2", "raw", "qcow2"), False),
    (("qcow2",), True),
    (("raw",), True),
    (("qcow2", "qcow2", "qcow2"), False),
    (("raw", "raw", "raw"), False),
}
CASES = [
    pytest.param(*case, marks=pytest.mark.long if case in LONG else ())
    for case in [*((formats, True) for formats in RUNNING), *((formats, False) for formats in STOPPED)]
]


def case_id(part: tuple[str, ...] | bool) -> str:
    if isinstance(part, bool):
        return "running" if part else "stopped"
    return "-".join(part)


@pytest.mark.parametrize(("formats", "running"), CASES, ids=case_id)
def test_backups_restore_and_increments_are_small(
    station: Station, formats: tuple[str, ...], running: bool
) -> None:
    guest = station.ground.guests.make(
        f"matrix-{uuid4().hex[:6]}",
        [DiskSpec(format=form, size=SIZE, file_system=False) for form in formats],
        start=False,
    )
    targets = TARGETS[: len(formats)]
    for number, target in enumerate(targets):
        data = realistic_data(24 * MIB, seed=number)
        write_image(
            guest.disks[target], formats[number], [(number * 7 * MIB, data), (SIZE - MIB, data[:MIB])]
        )
    if running:
        guest.start()
    item = station.protect(guest)
    # A running guest here has no file system on its disks, so there is nothing to freeze, and it is said.
    expected = ("UserErrorFsFreezeFailed",) if running else ()
    points = [station.backup(item, expected=expected)]
    truths = [{target: station.truth(guest, target) for target in targets}]
    assert not points[0].incremental
    for round_number in (1, 2):
        changed = change_one_percent(guest, targets, seed=round_number, running=running)
        points.append(station.backup(item, expected=expected))
        truths.append({target: station.truth(guest, target) for target in targets})
        assert points[-1].incremental
        assert 0 < points[-1].bytes_read <= 4 * changed
    for point, truth in zip(points, truths, strict=True):
        station.check_restore(point, truth)
    assert all(point.consistency is Consistency.CRASH for point in points)
    station.completed(station.service.unprotect(item, delete_data=True))
    assert [guest.chain(target) for target in targets] == [[guest.disks[target]] for target in targets]
    station.ground.guests.remove(guest)


def change_one_percent(guest: TinyGuest, targets: tuple[str, ...], *, seed: int, running: bool) -> int:
    """Change 1 % of every disk in scattered pieces of 64 KiB; returns the bytes changed."""
    changed = 0
    for target in targets:
        offsets = scattered_offsets(SIZE, 0.01, seed=seed)
        if running:
            guest.overwrite(target, offsets)
        else:
            top = guest.chain(target)[0]
            pieces = [(offset, realistic_data(PIECE, seed=seed * 1000 + offset)) for offset in offsets]
            write_image(top, "qcow2", pieces)
        changed += len(offsets) * PIECE
    return changed
