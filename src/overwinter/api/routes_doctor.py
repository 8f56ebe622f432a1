"""Routes of the doctor: actions on virtual machines and on jobs that ARM does not know."""

from fastapi import APIRouter

from overwinter.api import paths
from overwinter.api.context import GroupHere, JobHere, TheApi, VaultHere, in_default_group
from overwinter.api.shapes_diagnosis import job_diagnosis_shape
from overwinter.api.shapes_doctor import report_shape
from overwinter.doctor.texts import texts_in
from overwinter.model.errors import NotFound

router = APIRouter()


@router.post(paths.MACHINE_DOCTOR)
def examine(machine: str, group: GroupHere, api: TheApi) -> dict[str, object]:
    """What the doctor finds of a VM now, and what was behind its last backup's errors. It changes nothing."""
    if not in_default_group(group):
        raise NotFound(f"There is no virtual machine {machine!r} in resource group {group!r}.")
    report = api.doctor.examine(machine)
    last = None
    if report.failed is not None:
        vaults = {vault.id: vault for vault in api.service.vaults.every()}
        last = job_diagnosis_shape(report.failed, vaults.get(report.failed.vault_id), api.audience)
    return {**report_shape(report, texts_in(api.audience.language)), "lastFailure": last}


@router.post(paths.JOB_DOCTOR)
def explain(job: JobHere, vault: VaultHere, api: TheApi) -> dict[str, object]:
    """What was behind the errors of a job, by what was found when it failed."""
    return job_diagnosis_shape(job, vault, api.audience)
