"""Routes of recovery points: list them, and restore from one."""

from fastapi import APIRouter, Query
from fastapi.responses import Response

from overwinter.api import filters, paths
from overwinter.api.context import Api, ItemHere, TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.ids import last_name
from overwinter.api.requests import RecoveryType, RestoreRequest
from overwinter.api.shapes_points import point_shape
from overwinter.model.errors import NotFound, RequestError
from overwinter.model.point import RecoveryPoint
from overwinter.model.protection import ProtectedItem

router = APIRouter()

Shape = dict[str, object]

_RANGES = {
    "startDate": filters.not_before("recoveryPointTime"),
    "endDate": filters.not_after("recoveryPointTime"),
}


@router.get(paths.ITEM + "/recoveryPoints")
def list_points(
    item: ItemHere, vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")
) -> Shape:
    """The recovery points of an item, newest first."""
    points = sorted(api.service.recovery_points(item), key=lambda point: point.created, reverse=True)
    rows = [point_shape(api.ids, vault, item, point) for point in points]
    return api.rows(filters.select(filter_text, rows, _RANGES))


@router.get(paths.POINT)
def get_point(point: str, item: ItemHere, vault: VaultHere, api: TheApi) -> Shape:
    """One recovery point with its disks."""
    found = _find(api, item, point)
    disks, left_out = api.service.manifest_disks(found), api.service.left_out_disks(found)
    return point_shape(api.ids, vault, item, found, disks, left_out)


@router.post(paths.POINT + "/restore")
def restore(point: str, item: ItemHere, vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Restore as a new VM, or the disks as files."""
    request = RestoreRequest.read(document)
    request.check_supported()
    asked = request.properties
    found = _find(api, item, point)
    directory = asked.overwinter.target_directory
    if asked.recovery_type is RecoveryType.RESTORE_DISKS:
        assert directory is not None, "checked above"
        job = api.service.restore_disks(found, directory=directory)
    else:
        vm_name = last_name(asked.target_virtual_machine_id or "", "virtualMachines")
        if not vm_name.isprintable() or len(vm_name) > 255 or vm_name in (".", ".."):
            raise RequestError(f"{vm_name[:80]!r} cannot be the name of a virtual machine.")
        start = asked.overwinter.start
        job = api.service.restore_as_vm(found, vm_name=vm_name, directory=directory, start=start)
    return api.accepted(api.ids.item(vault, item), job)


def _find(api: Api, item: ProtectedItem, name: str) -> RecoveryPoint:
    if not (name.isascii() and name.isdecimal()):
        raise NotFound(f"There is no recovery point {name!r} of {item.vm_name!r}.")
    return api.service.recovery_point(item, name)
