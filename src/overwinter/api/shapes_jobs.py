"""Jobs as ARM writes them."""

from datetime import datetime

from overwinter.api.ids import Ids, container_name
from overwinter.api.shapes_diagnosis import causes_shape, names_of
from overwinter.api.shapes_errors import Audience, number
from overwinter.api.times import duration, stamp, stamp_or_none
from overwinter.codebook.texts import Names
from overwinter.doctor.diagnosis_record import diagnosis_of, taken
from overwinter.model.job import Job, JobError, JobStatus, Task
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.protection import Vault

_CANCELLABLE = 1

#: What ARM calls some of the properties of our jobs.
_BAG_NAMES = {"policy": "Policy Name", "recovery_points": "Number of Recovery Points"}


def job_shape(
    ids: Ids,
    vault: Vault,
    job: Job,
    now: datetime,
    audience: Audience,
    *,
    with_report: bool = False,
) -> dict[str, object]:
    """A job. What lies under ``overwinter`` is ours and not part of ARM: exact bytes, parameters, results.

    Reports can be long, so lists of jobs leave them out.
    """
    names = names_of(job, vault)
    remaining = None if job.status.is_final else job.remaining(now)
    properties: dict[str, object] = {
        "jobType": "AzureIaaSVMJob",
        "entityFriendlyName": job.vm_name,
        "backupManagementType": "AzureIaasVM",
        "operation": job.operation.value,
        "status": job.status.value,
        "startTime": stamp(job.started),
        "duration": duration((job.ended or now) - job.started),
        "activityId": str(job.id),
        "actionsInfo": [_CANCELLABLE] if job.status is JobStatus.IN_PROGRESS else [],
        "virtualMachineVersion": "Compute",
        "isUserTriggered": not job.is_scheduled,
        "containerName": container_name(DEFAULT_RESOURCE_GROUP, job.vm_name),
        "errorDetails": [_error(job, problem, audience, names) for problem in job.errors],
        "extendedInfo": {
            "tasksList": [_task(task, now) for task in job.tasks],
            "propertyBag": {"VM Name": job.vm_name}
            | {_BAG_NAMES.get(k, k): _text(v) for k, v in job.properties.items()},
            "internalPropertyBag": {},
            "progressPercentage": _overall_percent(job),
            "estimatedRemainingDuration": None if remaining is None else duration(remaining),
            "dynamicErrorMessage": "",
        },
        "overwinter": {
            "vmUuid": str(job.vm_uuid),
            "begun": job.begun,
            "itemId": None if job.item_id is None else str(job.item_id),
            "parameters": job.parameters,
            "properties": job.properties,
            "diagnosis": {"pending": job.is_being_diagnosed, "taken": stamp_or_none(taken(job))},
            **({"report": job.report} if with_report else {}),
        },
    }
    # A running job has no endTime at all; a null is not the same to every client.
    if job.ended is not None:
        properties["endTime"] = stamp(job.ended)
    return {
        "id": ids.job(vault, job.id),
        "name": str(job.id),
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": properties,
    }


def _error(job: Job, problem: JobError, audience: Audience, names: Names) -> dict[str, object]:
    """A problem of a job. The number is an integer (older clients need that), the code is the title.

    ``overwinter`` is ours: what can be behind it, in the order to look, and the whole diagnosis.
    """
    diagnosis = diagnosis_of(job, problem, audience.edition)
    return {
        "errorCode": number(problem),
        "errorTitle": problem.code,
        "errorString": audience.told(problem.code, problem.message),
        "recommendations": audience.advice(diagnosis, names),
        "overwinter": {
            "causes": audience.causes(diagnosis),
            "diagnosis": causes_shape(diagnosis, audience, names),
        },
    }


def _task(task: Task, now: datetime) -> dict[str, object]:
    rate = task.rate(now)
    moved = {"done": task.done, "total": task.total, "bytesPerSecond": None if rate is None else round(rate)}
    return {
        "taskId": task.name,
        "status": task.status.value,
        "startTime": stamp_or_none(task.started),
        "endTime": stamp_or_none(task.ended),
        "duration": "PT0S" if task.started is None else duration((task.ended or now) - task.started),
        "progressPercentage": task.percent,
        "taskExecutionDetails": None,
        "overwinter": moved,
    }


def _overall_percent(job: Job) -> float:
    if job.status.is_final:
        return 100.0
    percents = [task.percent for task in job.tasks if task.percent is not None]
    return sum(percents) / len(percents) if percents else 0.0


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "" if value is None else str(value)
