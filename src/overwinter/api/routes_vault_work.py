"""Routes of what a vault can do that ARM does not know: verify, repair, copy, measure, change its key."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from overwinter.api import paths
from overwinter.api.context import TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.requests import CopyRequest, KeyRequest, RepairRequest, VerifyRequest
from overwinter.api.shapes_vaults import stats_shape, vault_shape

router = APIRouter()


@router.post(paths.VAULT_WORK + "/verify")
def verify(vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Start a verification; the job's report says what is damaged and which disks that touches."""
    asked = VerifyRequest.read(document)
    job = api.service.vaults.verify(vault.name, read_percent=asked.read_percent, point_id=asked.point)
    return api.accepted(api.ids.vault(vault), job)


@router.post(paths.VAULT_WORK + "/repair")
def repair(vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Start a repair; the job's report says what was done and what is lost."""
    asked = RepairRequest.read(document)
    job = api.service.vaults.repair(vault.name, remove_lost=asked.remove_lost)
    return api.accepted(api.ids.vault(vault), job)


@router.post(paths.VAULT_WORK + "/copy")
def copy(vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Start a copy of recovery points into another vault."""
    asked = CopyRequest.read(document)
    job = api.service.vaults.copy(vault.name, asked.target, asked.points)
    return api.accepted(api.ids.vault(vault), job)


@router.post(paths.VAULT_WORK + "/cleanUp")
def clean_up(vault: VaultHere, api: TheApi) -> Response:
    """Start removing what no recovery point needs."""
    return api.accepted(api.ids.vault(vault), api.service.vaults.clean_up(vault.name))


@router.get(paths.VAULT_WORK + "/stats")
def stats(vault: VaultHere, api: TheApi) -> dict[str, object]:
    """What the vault holds and costs: totals, per VM, per recovery point, and how it grows."""
    measured, free = api.service.vaults.stats(vault.name)
    return stats_shape(measured, api.service.vaults.recovery_points(vault.name), api.now, free)


@router.post(paths.VAULT_WORK + "/useKey")
def use_key(vault: VaultHere, document: Document, api: TheApi) -> Response:
    """From now on open the vault with another secret."""
    asked = KeyRequest.read(document)
    changed = api.service.vaults.use_key(vault.name, asked.key_reference)
    return JSONResponse(vault_shape(api.ids, changed))


@router.post(paths.VAULT_WORK + "/upgradeStack")
def upgrade_stack(vault: VaultHere, api: TheApi) -> Response:
    """Bring the vault to stack V2, for good."""
    return JSONResponse(vault_shape(api.ids, api.service.vaults.upgrade_stack(vault.name)))


@router.post(paths.VAULT_WORK + "/detach")
def detach(vault: VaultHere, api: TheApi) -> Response:
    """Forget the vault; what is in it stays."""
    api.service.vaults.detach(vault.name)
    return Response(status_code=204)
