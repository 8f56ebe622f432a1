"""Routes of jobs, and of the operations that started them."""

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from overwinter.api import filters, paths
from overwinter.api.context import Api, TheApi, VaultHere, find_job, item_of_path
from overwinter.api.routes_items import shape_of
from overwinter.api.shapes_jobs import job_shape
from overwinter.api.shapes_operations import is_done, operation_shape
from overwinter.api.shapes_vaults import vault_shape
from overwinter.model.errors import NotFound
from overwinter.model.job import Job

router = APIRouter()

Shape = dict[str, object]

_RANGES = {
    "startTime": filters.not_before("startTime"),
    # A running job has no end yet: it is judged by its start.
    "endTime": filters.not_after("endTime", "startTime"),
}


@router.get(paths.VAULT + "/backupJobs")
def list_jobs(vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")) -> Shape:
    """The jobs of a vault, newest first."""
    jobs = sorted(api.service.jobs(vault), key=lambda job: job.started, reverse=True)
    rows = [job_shape(api.ids, vault, job, api.now, api.audience) for job in jobs]
    return api.rows(filters.select(filter_text, rows, _RANGES))


@router.get(paths.JOB)
def get_job(job: str, vault: VaultHere, api: TheApi) -> Shape:
    """One job."""
    found = find_job(api, vault, job)
    return job_shape(api.ids, vault, found, api.now, api.audience, with_report=True)


@router.post(paths.JOB + "/cancel")
def cancel_job(job: str, vault: VaultHere, api: TheApi) -> Response:
    """Ask a job to stop."""
    api.service.cancel(find_job(api, vault, job).id)
    return Response(status_code=202)


@router.get(paths.VAULT + "/backupOperations/{operation}")
def get_operation(operation: str, vault: VaultHere, api: TheApi) -> Response:
    """State of an operation."""
    return _operation(api, find_job(api, vault, operation))


@router.get(paths.VAULT + "/operationsStatus/{operation}")
def get_vault_operation(operation: str, vault: VaultHere, api: TheApi) -> Response:
    """State of an operation on a whole vault."""
    return _operation(api, find_job(api, vault, operation))


@router.get(paths.VAULT + "/operationResults/{operation}")
def get_vault_result(operation: str, vault: VaultHere, api: TheApi) -> Response:
    """The vault once the operation has ended; 202 before that."""
    if not is_done(find_job(api, vault, operation)):
        return Response(
            status_code=202, headers={"Location": api.link(api.request.url.path), "Retry-After": "1"}
        )
    return JSONResponse(vault_shape(api.ids, vault))


@router.get(paths.ITEM + "/operationsStatus/{operation}")
def get_item_operation(operation: str, vault: VaultHere, api: TheApi) -> Response:
    """State of an operation on an item; the item itself may be gone by now."""
    return _operation(api, find_job(api, vault, operation))


@router.get(paths.ITEM + "/operationResults/{operation}")
def get_item_result(operation: str, item: str, vault: VaultHere, api: TheApi) -> Response:
    """The item once the operation has ended; 202 before that, 204 when the item is gone."""
    job = find_job(api, vault, operation)
    if not is_done(job):
        return Response(
            status_code=202, headers={"Location": api.link(api.request.url.path), "Retry-After": "1"}
        )
    try:
        found = item_of_path(item, vault, api)
    except NotFound:
        return Response(status_code=204)
    return JSONResponse(shape_of(api, vault, found))


def _operation(api: Api, job: Job) -> Response:
    headers = {} if is_done(job) else {"Retry-After": "1"}
    return JSONResponse(operation_shape(job, api.audience), headers=headers)
