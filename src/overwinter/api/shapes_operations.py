"""Asynchronous operations of the backup dialect.

An operation *is* the job it started and has the job's id, so that its state needs no store of its own and
survives a restart of the service.
"""

from overwinter.api.shapes_errors import Audience
from overwinter.api.times import NOT_YET, stamp
from overwinter.model.job import Job, JobOperation, JobStatus

#: Started means succeeded for these: clients then follow the job itself.
_DONE_WHEN_STARTED = (JobOperation.BACKUP, JobOperation.RESTORE)


def is_done(job: Job) -> bool:
    """Whether the operation that started the job has ended."""
    return job.operation in _DONE_WHEN_STARTED or job.status.is_final


def operation_shape(job: Job, audience: Audience) -> dict[str, object]:
    """State of the operation that started the job."""
    shape: dict[str, object] = {
        "id": str(job.id),
        "name": str(job.id),
        "status": _status(job),
        "startTime": stamp(job.started),
        "endTime": stamp(job.ended or job.started) if is_done(job) else NOT_YET,
        "properties": {"objectType": "OperationStatusJobExtendedInfo", "jobId": str(job.id)},
    }
    if shape["status"] == "Failed" and job.errors:
        problem = job.errors[0]
        shape["error"] = {"code": problem.code, "message": audience.told(problem.code, problem.message)}
    return shape


def _status(job: Job) -> str:
    if not is_done(job):
        return "InProgress"
    if job.operation in _DONE_WHEN_STARTED:
        return "Succeeded"
    return {JobStatus.FAILED: "Failed", JobStatus.CANCELLED: "Canceled"}.get(job.status, "Succeeded")
