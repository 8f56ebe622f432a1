"""Routes of the doctor's repairs: actions on a protected item that ARM does not know."""

from fastapi import APIRouter
from fastapi.responses import Response

from overwinter.api import paths
from overwinter.api.context import ItemHere, TheApi, VaultHere
from overwinter.api.shapes_repairs import plan_shape

router = APIRouter()


@router.post(paths.ITEM + "/overwinter/planRepairs")
def plan_repairs(item: ItemHere, api: TheApi) -> dict[str, object]:
    """What a machine could mend of the VM now. Nothing is changed; it may take a minute."""
    return plan_shape(item, api.service.plan_repairs(item))


@router.post(paths.ITEM + "/overwinter/repair")
def repair(item: ItemHere, vault: VaultHere, api: TheApi) -> Response:
    """Start mending it; the job's report says what was done."""
    return api.accepted(api.ids.item(vault, item), api.service.repair(item))
