"""Route of the doctor: an action on a virtual machine that ARM does not know."""

from fastapi import APIRouter

from overwinter.api import paths
from overwinter.api.context import GroupHere, TheApi, in_default_group
from overwinter.api.shapes_doctor import report_shape
from overwinter.doctor.texts import texts_in
from overwinter.model.errors import NotFound

router = APIRouter()


@router.post(paths.MACHINE_DOCTOR)
def examine(machine: str, group: GroupHere, api: TheApi) -> dict[str, object]:
    """What the doctor finds of a VM now. It changes nothing."""
    if not in_default_group(group):
        raise NotFound(f"There is no virtual machine {machine!r} in resource group {group!r}.")
    return report_shape(api.doctor.examine(machine), texts_in(api.audience.language))
