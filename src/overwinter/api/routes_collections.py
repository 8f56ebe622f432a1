"""Routes of restore point collections and of the restore points in them."""

from fastapi import APIRouter, Query
from fastapi.responses import Response

from overwinter.api import paths
from overwinter.api.context import Api, GroupHere, ItemHere, TheApi, VaultHere
from overwinter.api.ids import find
from overwinter.api.shapes_collections import collection_shape, restore_point_shape
from overwinter.model.errors import NotFound
from overwinter.model.job import Job

router = APIRouter()

Shape = dict[str, object]

Expand = Query("", alias="$expand")


@router.get(paths.SUBSCRIPTION + paths.COLLECTIONS)
def list_collections(api: TheApi) -> Shape:
    """All collections."""
    return api.rows([collection_shape(api.ids, each) for each in api.service.points.collections()])


@router.get(paths.GROUP + paths.COLLECTIONS)
def list_collections_of_group(group: GroupHere, api: TheApi) -> Shape:
    """The collections of a resource group."""
    found = [
        each
        for each in api.service.points.collections()
        if each.collection.resource_group.casefold() == group.casefold()
    ]
    return api.rows([collection_shape(api.ids, each) for each in found])


@router.get(paths.COLLECTION)
def get_collection(collection: str, group: GroupHere, api: TheApi, expand: str = Expand) -> Shape:
    """One collection; with its restore points when asked for."""
    content = api.service.points.collection(group, collection)
    return collection_shape(api.ids, content, with_points=expand.casefold() == "restorepoints")


@router.delete(paths.COLLECTION)
def delete_collection(collection: str, group: GroupHere, api: TheApi) -> Response:
    """Start deleting a collection with all its restore points; one that is not there is deleted already."""
    try:
        api.service.points.collection(group, collection)
    except NotFound:
        return Response(status_code=204)
    return _accepted(api, api.service.points.delete_points(group, collection))


@router.get(paths.RESTORE_POINT)
def get_restore_point(
    point: str, collection: str, group: GroupHere, api: TheApi, expand: str = Expand
) -> Shape:
    """One restore point; with its instance view when asked for."""
    content = api.service.points.collection(group, collection)
    found = find(content.points, point, lambda each: each.name, "restore point")
    return restore_point_shape(api.ids, content, found, with_view=expand.casefold() == "instanceview")


@router.delete(paths.RESTORE_POINT)
def delete_restore_point(point: str, collection: str, group: GroupHere, api: TheApi) -> Response:
    """Start deleting one restore point; one that is not there is deleted already."""
    try:
        content = api.service.points.collection(group, collection)
        find(content.points, point, lambda each: each.name, "restore point")
    except NotFound:
        return Response(status_code=204)
    return _accepted(api, api.service.points.delete_points(group, collection, point))


@router.post(paths.ITEM + "/overwinter/cleanUp")
def clean_up(item: ItemHere, vault: VaultHere, api: TheApi) -> Response:
    """Start removing the item's expired restore points; not part of ARM."""
    return api.accepted(api.ids.vault(vault), api.service.points.clean_up(item))


def _accepted(api: Api, job: Job) -> Response:
    """202; clients follow the job, which is one of the vault that knows the VM."""
    vault = next(vault for vault in api.service.vaults.every() if vault.id == job.vault_id)
    return api.accepted(api.ids.vault(vault), job)
