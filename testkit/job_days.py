"""A VM day after day on real chains: written to, backed up, cleaned up; every point restores bit for bit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from overwinter.catalog import points as point_table
from overwinter.model.point import RecoveryPoint
from testkit.disks import MIB, DiskSpec, convert, first_difference, realistic_data, write_image
from testkit.domains import TinyGuest
from testkit.station import Station

SIZE = 32 * MIB
TARGETS = ("vda", "vdb")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The present time."""
        return self.now


class Days:
    """One VM with a qcow2 and a raw disk, and what its disks were like at each backup."""

    def __init__(self, station: Station, clock: Clock, *, running: bool) -> None:
        specs = [DiskSpec(form, size=SIZE, file_system=False) for form in ("qcow2", "raw")]
        self.station = station
        self.clock = clock
        self.running = running
        self.guest: TinyGuest = station.ground.guests.make(f"days-{uuid4().hex[:6]}", specs, start=running)
        self.item = station.protect(self.guest)
        self.points: list[RecoveryPoint] = []
        self.truths: dict[str, dict[str, Path]] = {}
        self.compared = 0

    def pass_one(self) -> None:
        """Write to both disks, back up, and let a day go by."""
        day = len(self.points)
        for target in TARGETS:
            self._write(target, day)
        expected = ("UserErrorFsFreezeFailed",) if self.running else ()
        point = self.station.backup(self.item, expected=expected)
        self.points.append(point)
        self.truths[point.id] = {target: self.station.truth(self.guest, target) for target in TARGETS}
        self.clock.now += timedelta(days=1)

    def compare_all(self) -> None:
        """Compare every point there is with what was backed up: from the vault, and the frozen chain itself.

        Raises AssertionError at the first difference.
        """
        for point in self.station.service.recovery_points(self.item):
            if point.manifest is not None:
                self.station.check_restore(point, self.truths[point.id])
                self.compared += 1
            if point.restore_point is not None:
                self._compare_chain(point)
                self.compared += 1

    def remove(self) -> None:
        """Remove the VM and what was kept for comparison."""
        self.station.ground.guests.remove(self.guest)
        for truth in self.truths.values():
            for copy in truth.values():
                copy.unlink()

    def _compare_chain(self, point: RecoveryPoint) -> None:
        assert point.restore_point is not None
        with self.station.service._runtime.catalog.transaction() as tx:
            taken = point_table.find_restore_point(tx, point.restore_point)
        assert taken is not None
        for disk in taken.disks:
            copy = self.station.directory / f"chain-{uuid4().hex[:6]}"
            convert(Path(disk.chain[0]), disk.formats[0], copy)
            assert first_difference(self.truths[point.id][disk.target], copy) is None, (disk.target, point.id)
            copy.unlink()

    def _write(self, target: str, day: int) -> None:
        offset = (day * 7 % (SIZE // MIB)) * MIB
        if self.running:
            self.guest.overwrite(target, [offset])
            return
        top = self.guest.chain(target)[0]
        form = "raw" if top == self.guest.disks["vdb"] else "qcow2"
        write_image(top, form, [(offset, realistic_data(MIB, seed=day))])
