"""A backup that failed and was looked into, for tests of API and command line."""

from overwinter.doctor.diagnosis_record import record
from overwinter.model.job import Job, JobError, JobStatus
from tests.api.fake_service import FakeService
from tests.doctor.cases import AWAY
from tests.doctor.facts import machine

CODE = "DiskImageUnreadable"

PROBLEM = JobError(CODE, "Disk vda cannot be read.")


def failed_backup(service: FakeService, *, diagnosed: bool = True) -> Job:
    """A backup of Web01 whose disk is gone; ``diagnosed``: somebody looked when it failed."""
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    job = service.backup(service.items()[0], expires=None)
    service.finish(job, JobStatus.FAILED, PROBLEM)
    if not diagnosed:
        return service.job(job.id)
    return service.diagnose(job, record([PROBLEM], None, machine(unreadable_disks=(AWAY,))))
