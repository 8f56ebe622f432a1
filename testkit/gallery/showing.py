"""One fault shown: injected, met by the product, mended, and the VM as good as before."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from overwinter.doctor.collect import collect
from overwinter.doctor.diagnosis import Findings, diagnose, look
from overwinter.doctor.diagnosis_record import diagnosis_of
from overwinter.model.errors import NotFound
from overwinter.model.job import Job, JobError, JobStatus
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, Told
from testkit.gallery.scene import Scene
from testkit.torture import tell
from testkit.waiting import wait_until

#: Repairs of the code book that are nothing but the next backup. Healing stores anew what a vault has lost.
_BACKUP = "backup"
_HEAL = "chunk-heal"

#: Seconds for the diagnosis of a job that has ended; a service gives up after 60.
_DIAGNOSIS_LIMIT_S = 90.0

#: Repairs after which a whole vault must be sound.
_OF_VAULTS = ("index-rebuild", _HEAL)


@dataclass(frozen=True)
class Showing:
    """What came of a fault.

    ``told`` is what the product said, ``cause`` the first cause it names. ``is_repaired`` is null where a
    person has to act; ``is_sound`` tells whether a backup is right once the fault is over.
    """

    fault: Fault
    told: Told
    cause: str | None
    is_repaired: bool | None
    is_sound: bool

    @property
    def has_right_code(self) -> bool:
        """Whether the product told the code it must."""
        return self.told.code == self.fault.code

    @property
    def has_right_cause(self) -> bool:
        """Whether the product names the real cause first."""
        return self.cause == self.fault.cause

    @property
    def is_right(self) -> bool:
        """Whether all is as it must be but the cause."""
        return self.has_right_code and self.is_sound and self.is_repaired is not False


def show(scene: Scene, fault: Fault) -> Showing:
    """Show a fault. What goes wrong afterwards is told on stderr. Raises what injecting it raises."""
    repaired = None
    sound = False
    try:
        with scene.showing():
            with fault.inject(scene) as patient:
                said = fault.attempt(patient)
                cause = first_cause(patient, said)
                if fault.repair is not None:
                    fault.before_repair(patient)
                    repaired = _succeeds(partial(_is_repaired, patient, fault.repair))
            sound = _succeeds(patient.backup_is_right)
    finally:
        if not sound:
            scene.give_up_running()
    return Showing(fault, said, cause, repaired, sound)


def first_cause(patient: Patient, told: Told) -> str | None:
    """The cause that the product names first: of the job that failed, or of the error where none was made.

    Null for a code that is not in the code book, and when every cause is ruled out.
    """
    problem = JobError(told.code, told.message, told.cause)
    edition = patient.service.profile.edition
    if told.job is None:
        found = diagnose(problem, edition, _findings(patient))
    else:
        found = diagnosis_of(_explained(patient, told.job), problem, edition)
    return None if found is None else found.first


def _explained(patient: Patient, job: Job) -> Job:
    """The job once it has its diagnosis."""
    wait_until(
        lambda: not patient.service.job(job.id).is_being_diagnosed,
        f"no diagnosis of {job.id}",
        _DIAGNOSIS_LIMIT_S,
    )
    return patient.service.job(job.id)


def _findings(patient: Patient) -> Findings | None:
    """What the doctor finds of the VM now; null when it exists nowhere."""
    try:
        return look(collect(patient.service.runtime, patient.guest.name))
    except NotFound:
        return None


def _is_repaired(patient: Patient, repair: str) -> bool:
    """Whether the product mends it when asked to, so that backups are right, and a vault is sound."""
    if repair == _HEAL:
        patient.station.backup(patient.item)  # before the guest writes over what the vault has lost
    elif repair != _BACKUP and not _is_done(patient, repair):
        return False
    if repair in _OF_VAULTS:
        verified = patient.ended(patient.verify)
        assert verified.status is not JobStatus.FAILED, verified.errors  # harmless damage may be left
    patient.backup_is_right()
    return True


def _is_done(patient: Patient, repair: str) -> bool:
    """Whether the job that mends a VM did that repair, and all went well."""
    job = patient.ended(lambda: patient.service.repair(patient.item))
    report = job.report or {"repairs": []}
    done = report["repairs"]
    assert isinstance(done, list)
    if job.status is JobStatus.COMPLETED and repair in [each["repair"] for each in done]:
        return True
    tell(f"  {repair} was not done: {job.errors}, {done}")
    return False


def _succeeds(act: Callable[[], bool | None]) -> bool:
    try:
        return act() is not False
    except Exception as error:  # noqa: BLE001 (told; the showing says that it went wrong)
        traceback.print_exception(error)
        return False
