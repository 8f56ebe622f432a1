"""A VM that a fault happens to: backed up, compared, and what the product tells when that fails."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from overwinter.jobs.service import Service
from overwinter.model.errors import OverwinterError
from overwinter.model.job import Job
from overwinter.model.point import RecoveryPoint, Tier
from overwinter.model.protection import ProtectedItem
from testkit.disks import MIB, write_image
from testkit.domains import TinyGuest
from testkit.job_days import Clock
from testkit.station import Station

#: The warning that a point has expired on the host which a fault had kept from the vault.
_EXPIRED = "RecoveryPointSnapshotOnly"

#: Between two backups, so that points expire on the host and chains stay short.
_APART = timedelta(days=3)


@dataclass(frozen=True)
class Told:
    """What an operation told of its failure: code and message; both empty when it did not fail.

    ``cause`` is what was seen by what raised it. ``job`` is the one that failed, null where none was made.
    """

    code: str
    message: str
    cause: str | None = None
    job: Job | None = None


@dataclass
class Patient:
    """A VM under protection.

    ``station`` is the service with the vault that the VM is protected in; ``expected`` are the codes of
    warnings that a good backup of it has all the same; ``directories`` (a pattern of the shell) is where its
    guest writes.
    """

    station: Station
    clock: Clock
    guest: TinyGuest
    item: ProtectedItem
    expected: tuple[str, ...] = ()
    directories: str = "/mnt/*"

    @property
    def service(self) -> Service:
        """The service that protects it."""
        return self.station.service

    @property
    def vault(self) -> Path:
        """The directory of its vault."""
        return Path(self.station.vault.url.removeprefix("file://"))

    def write(self) -> None:
        """Change something on every disk, from inside the guest if it runs."""
        if self.guest.domain.isActive():
            write = "dd if=/dev/urandom of=$d/f bs=64k count=9 2>/dev/null"
            self.guest.agent.check(f"for d in {self.directories}; do {write}; done; sync")
            return
        for target in self.guest.disks:
            top = self.guest.chain(target)[0]
            write_image(top, _format(top), [(MIB, os.urandom(MIB))])

    def backup_is_right(self) -> None:
        """A backup with nothing to complain of, restored and compared with what was frozen."""
        self.clock.now += _APART
        self.write()
        point = self._backed_up()
        targets = [disk.target for disk in self.service.manifest_disks(point)]
        truths = {target: self.station.truth(self.guest, target) for target in targets}
        self.station.check_restore(point, truths)
        for truth in truths.values():
            truth.unlink()

    def _backed_up(self) -> RecoveryPoint:
        job = self.ended(lambda: self.service.backup(self.item, expires=None))
        assert {error.code for error in job.errors} <= {_EXPIRED, *self.expected}, job.errors
        point = self.service.recovery_point(self.item, str(job.properties["recovery_point"]))
        assert point.tier is Tier.SNAPSHOT_AND_VAULT, point
        return point

    def reopen_vault(self) -> None:
        """Let the service open the vault anew, as after a restart; so it sees what was done to its files."""
        self.service._runtime.vaults.forget(self.station.vault.id)

    def verify(self) -> Job:
        """Start a verification of all data of its vault."""
        return self.service.vaults.verify(self.station.vault.name, read_percent=100, point_id=None)

    def ended(self, start: Callable[[], Job]) -> Job:
        """The job once it has ended, however."""
        return self.station.ended(start())

    def completed(self, start: Callable[[], Job]) -> Job:
        """The job once it has completed."""
        return self.station.completed(start())


def told(patient: Patient, start: Callable[[], Job]) -> Told:
    """What an operation told: the error of a request that was refused, or the first one of its job."""
    patient.clock.now += timedelta(minutes=1)
    try:
        job = patient.ended(start)
    except OverwinterError as error:
        return Told(error.code, error.message, error.cause)
    if not job.errors:
        return Told("", "")
    first = job.errors[0]
    return Told(first.code, first.message, first.cause, job)


def backup(patient: Patient) -> Told:
    """A backup as a person asks for it."""
    return told(patient, lambda: patient.service.backup(patient.item, expires=None))


def _format(path: Path) -> str:
    return "raw" if path.suffix == ".raw" else "qcow2"
