"""Routes of resource groups: those of VMs and vaults, and those the service makes for restore points."""

from fastapi import APIRouter
from fastapi.responses import Response

from overwinter.api import paths
from overwinter.api.context import Api, GroupHere, TheApi
from overwinter.api.shapes_collections import group_shape
from overwinter.model.errors import ResourceGroupNotFound

router = APIRouter()

Shape = dict[str, object]


@router.get(paths.SUBSCRIPTION + "/resourceGroups")
def list_groups(api: TheApi) -> Shape:
    """All resource groups."""
    return api.rows([group_shape(api.ids, name) for name in api.service.points.groups()])


@router.get(paths.GROUP)
def get_group(group: GroupHere, api: TheApi) -> Shape:
    """One resource group."""
    return group_shape(api.ids, _find(api, group))


@router.head(paths.GROUP)
def has_group(group: GroupHere, api: TheApi) -> Response:
    """Whether there is such a resource group."""
    _find(api, group)
    return Response(status_code=204)


def _find(api: Api, group: str) -> str:
    for name in api.service.points.groups():
        if name.casefold() == group.casefold():
            return name
    raise ResourceGroupNotFound(f"There is no resource group {group!r}.")
