"""Torture of the labels: a Debian guest writes during every backup, and every point is judged by its content.

Backups go well, have a pre-script that fails, or find no guest agent, by a seed. Each point is restored, and
another guest recovers its file systems and databases (testkit/consistency.py). At the end one is restored as
a VM that must boot.

Progress and what goes wrong are told on stderr; one JSON object on stdout sums up. Ends with 1 when a point
is less than its label claims, a label is not the expected one, or anything fails.
"""

import argparse
import json
import random
import shutil
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from uuid import uuid4

from overwinter.model.point import Consistency, RecoveryPoint
from overwinter.model.protection import ProtectedItem
from testkit.consistency import Evidence, ExaminingGuest, LabelWrong, WritingGuest, check_label
from testkit.debian_domains import BOOT_LIMIT_SECONDS
from testkit.ground import prepare
from testkit.station import Station, open_station

BACKUPS, SHORT_BACKUPS = 50, 2


class Course(StrEnum):
    """How a backup goes."""

    WELL = "well"
    SCRIPT_FAILS = "script fails"
    NO_AGENT = "no agent"


EXPECTED = {
    Course.WELL: Consistency.APPLICATION,
    Course.SCRIPT_FAILS: Consistency.FILE_SYSTEM,
    Course.NO_AGENT: Consistency.CRASH,
}


@dataclass
class Tally:
    """``writes_lost``: points that lack writes which a freeze would have brought to the disk."""

    backups: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    inconsistent: int = 0
    labels_unexpected: int = 0
    failures: int = 0
    writes_lost: int = 0
    restored_vms_booted: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        wrong = (self.inconsistent, self.labels_unexpected, self.failures)
        return not any(wrong) and self.restored_vms_booted > 0


class Torture:
    """A protected guest that writes, and one that examines."""

    def __init__(self, station: Station) -> None:
        self.tally = Tally()
        self._station = station
        name = uuid4().hex[:6]
        self._writing = WritingGuest(station.ground, f"writing-{name}")
        with self._writing.standing_still():
            self._examining = ExaminingGuest(station.ground, f"examining-{name}")
        self._item: ProtectedItem = station.protect(self._writing.guest)

    def backup(self, course: Course) -> None:
        """One backup, judged."""
        point, evidence = self._taken(course)
        self.tally.backups += 1
        self.tally.labels[point.consistency] = self.tally.labels.get(point.consistency, 0) + 1
        print(f"{course}: {point.consistency}, {evidence}", file=sys.stderr)
        self.tally.labels_unexpected += point.consistency is not EXPECTED[course]
        if min(evidence.found["lazy"]) < evidence.before.lazy:
            self.tally.writes_lost += 1
        check_label(point.consistency, evidence)

    def _taken(self, course: Course) -> tuple[RecoveryPoint, Evidence]:
        writing, station = self._writing, self._station
        writing.set_scripts(succeed=course is not Course.SCRIPT_FAILS)
        before = writing.written()
        absent: AbstractContextManager[None] = nullcontext()
        if course is Course.NO_AGENT:
            absent = writing.without_agent()
        with absent:
            job = station.ended(station.service.backup(self._item, expires=None))
        after = writing.written()
        held = writing.held() if course is Course.WELL else None
        point = station.service.recovery_point(self._item, str(job.properties["recovery_point"]))
        with writing.standing_still():
            return point, Evidence(self._examined(point), before, after, held)

    def _examined(self, point: RecoveryPoint) -> object:
        directory = self._station.directory / f"restored-{point.id}"
        directory.mkdir(mode=0o755)
        self._station.completed(self._station.service.restore_disks(point, directory=directory))
        images = {
            disk.target: (directory / f"recovery-point-{point.id}-{disk.target}.{disk.format}", disk.format)
            for disk in self._station.service.manifest_disks(point)
        }
        found = self._examining.examine(images)
        shutil.rmtree(directory)
        return found

    def boot_restored(self) -> None:
        """Restore the newest point as a VM: it boots, and its services work on its disks."""
        station = self._station
        (newest, *_) = station.service.recovery_points(self._item)
        name = station.ground.run.domain_name(f"restored-{uuid4().hex[:6]}")
        with self._writing.standing_still():
            job = station.service.restore_as_vm(newest, vm_name=name, directory=None, start=True)
            station.completed(job)
            restored = station.ground.guests.find(name)
            restored.wait_ready(BOOT_LIMIT_SECONDS)
            # The agent is up before the disks that the databases lie on.
            mounts = "data-ext4.mount data-xfs.mount"
            restored.agent.check(f"systemctl start {mounts}", BOOT_LIMIT_SECONDS)
            restored.agent.check("systemctl start postgresql mariadb", BOOT_LIMIT_SECONDS)
            restored.agent.check("runuser -u postgres -- psql -c 'SELECT max(number) FROM numbers'")
            restored.agent.check("mariadb -e 'SELECT max(number) FROM writers.numbers'")
            restored.destroy()
        self.tally.restored_vms_booted += 1


def torture(station: Station, courses: list[Course]) -> Tally:
    """One backup of each course, then a VM; what goes wrong is counted, and the rest goes on."""
    scene = Torture(station)
    for course in courses:
        try:
            scene.backup(course)
        except LabelWrong:
            traceback.print_exc()
            scene.tally.inconsistent += 1
        except Exception:  # noqa: BLE001 (told, counted, and the rest goes on)
            traceback.print_exc()
            scene.tally.failures += 1
    scene.boot_restored()
    return scene.tally


def courses_of(count: int, seed: int) -> list[Course]:
    """Courses of that many backups: each kind once, then mostly those that go well."""
    source = random.Random(seed)
    fixed = [Course.WELL, Course.NO_AGENT, Course.SCRIPT_FAILS]
    drawn = source.choices(list(Course), weights=[6, 2, 2], k=max(0, count - len(fixed)))
    return (fixed + drawn)[:count]


def main() -> int:
    """Run it and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_BACKUPS} backups")
    parser.add_argument("--backups", type=int, default=BACKUPS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    count = SHORT_BACKUPS if arguments.short else arguments.backups
    # The service logs to stdout.
    with redirect_stdout(sys.stderr), prepare() as ground, open_station(ground) as station:
        tally = torture(station, courses_of(count, arguments.seed))
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
