"""What the label of a recovery point promises, checked on its restored disks.

A Debian guest writes all the time: numbers into four file systems, with fsync and without, and rows into two
databases that answer commits before they are on the disk. A second guest gets the restored disks, recovers
what is on them as after a power failure, and tells which numbers are there.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from overwinter.model.point import Consistency
from testkit.console import console_run
from testkit.debian_domains import DATA_DISKS, make_debian_guest, make_file_systems
from testkit.domains import TinyGuest, disk_files, disk_xml
from testkit.ground import Ground
from testkit.waiting import wait_until

FILES = Path(__file__).with_name("consistency_files")

#: The file systems are made, databases copied and started, all under emulation.
PREPARE_LIMIT_S = 300.0
EXAMINE_LIMIT_S = 300.0
CONSOLE_LIMIT_S = 120.0

DATA_TARGETS = ("vdb", "vdc", "vdd", "vde")


class LabelWrong(AssertionError):
    """A recovery point is less consistent than its label claims."""


@dataclass(frozen=True)
class Written:
    """The last numbers that the guest's writers were done with at a moment."""

    sure: int
    lazy: int
    postgresql: int
    mariadb: int

    @property
    def everything(self) -> bool:
        """Whether every writer has begun."""
        return all(astuple(self))


class WritingGuest:
    """The guest whose backups are judged."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.guest: TinyGuest = make_debian_guest(ground, name, DATA_DISKS)
        make_file_systems(self.guest)
        agent = self.guest.agent
        agent.write_file("/root/writer.py", (FILES / "writer.py").read_bytes())
        agent.write_file("/root/prepare", (FILES / "prepare").read_bytes())
        agent.check("sh /root/prepare", PREPARE_LIMIT_S)
        wait_until(lambda: self.written().everything, "a writer does not write", PREPARE_LIMIT_S)

    def written(self) -> Written:
        """What is done now; nothing counts as 0."""
        names = ("sure", "lazy", "postgresql", "mariadb")
        words = self.guest.agent.check(
            "; ".join(f"cat /run/writers/{name} 2>/dev/null || echo 0" for name in names)
        )
        return Written(*(int(word) for word in words.split()))

    def set_scripts(self, *, succeed: bool) -> None:
        """Whether the pre-script is to succeed from now on."""
        self.guest.agent.check(
            "rm -f /run/writers/no-scripts" if succeed else "touch /run/writers/no-scripts"
        )

    @contextmanager
    def without_agent(self) -> Iterator[None]:
        """Within the block the guest agent does not run."""
        try:
            self._console("systemctl stop qemu-guest-agent")
            yield
        finally:
            self._console("systemctl start qemu-guest-agent")
            self.guest.wait_ready()

    def _console(self, line: str) -> None:
        console_run(self.guest.domain, line, CONSOLE_LIMIT_S)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Within the block the VM is paused, which leaves the machine to others."""
        self.guest.domain.suspend()
        try:
            yield
        finally:
            self.guest.domain.resume()

    def held(self) -> int:
        """How far MariaDB's writer was when the last pre-script had stopped it."""
        return int(self.guest.agent.check("cat /run/writers/mariadb-held"))


class ExaminingGuest:
    """The guest that looks at restored disks."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.guest: TinyGuest = make_debian_guest(ground, name)
        self.guest.agent.write_file("/root/examine.py", (FILES / "examine.py").read_bytes())

    def examine(self, images: Mapping[str, tuple[Path, str]]) -> Any:
        """What is on restored disks: image and format by target. Raises GuestError when they are damaged."""
        for number, target in enumerate(DATA_TARGETS, 1):
            path, image_format = images[target]
            self.guest.domain.attachDevice(disk_xml(number, path, image_format))
        devices = " ".join(f"/dev/{target}" for target in DATA_TARGETS)
        self.guest.agent.check(f"until [ -b /dev/{DATA_TARGETS[-1]} ]; do sleep 0.1; done; udevadm settle")
        answer = self.guest.agent.check(f"python3 /root/examine.py {devices}", EXAMINE_LIMIT_S)
        for number, target in enumerate(DATA_TARGETS, 1):
            self.guest.domain.detachDevice(disk_xml(number, *images[target]))
        wait_until(lambda: len(disk_files(self.guest.domain)) == 1, "a disk is not let go", EXAMINE_LIMIT_S)
        return json.loads(answer)


@dataclass(frozen=True)
class Evidence:
    """A point's content, what was written before and after its backup, and where MariaDB was held."""

    found: Any
    before: Written
    after: Written
    held: int | None


def check_label(label: Consistency, evidence: Evidence) -> None:
    """Raise LabelWrong when the content is not what the label promises."""
    found, before, after = evidence.found, evidence.before, evidence.after
    sure: list[int] = found["sure"]
    _hold(before.sure <= sure[-1], f"crash: fsync'ed numbers are lost: {sure}, {before}")
    _hold(sure[0] <= after.sure + 1, f"crash: numbers of the future: {sure}, {after}")
    _hold(sure == sorted(sure, reverse=True), f"crash: the disks are of different moments: {sure}")
    _hold(sure[0] - sure[-1] <= 1, f"crash: the disks are of different moments: {sure}")
    for name in ("postgresql", "mariadb"):
        count, greatest = found[name]
        _hold(count == greatest, f"crash: rows are missing in between in {name}: {found[name]}")
        _hold(
            count <= getattr(after, name) + 1, f"crash: rows of the future in {name}: {found[name]}, {after}"
        )
    if label.satisfies(Consistency.FILE_SYSTEM):
        journals = found["journals_to_replay"]
        _hold(not journals, f"file system: journals were not empty, so nothing was frozen: {journals}")
        _hold(min(found["lazy"]) >= before.lazy, f"file system: writes are lost: {found['lazy']}, {before}")
    if label.satisfies(Consistency.APPLICATION):
        _hold(
            found["postgresql"][0] >= before.postgresql,
            f"application: PostgreSQL lost commits: {found['postgresql']}, {before}",
        )
        # The last row may be committed and not yet be noted by its writer.
        _hold(
            evidence.held is not None and found["mariadb"][0] - evidence.held in (0, 1),
            f"application: MariaDB has not what was committed: {found['mariadb']}, held at {evidence.held}",
        )


def _hold(condition: bool, complaint: str) -> None:
    if not condition:
        raise LabelWrong(complaint)
