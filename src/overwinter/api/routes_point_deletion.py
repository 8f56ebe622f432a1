"""Routes that delete single recovery points and have them back. ARM knows neither; they are ours."""

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from overwinter.api import paths
from overwinter.api.context import ItemHere, TheApi, VaultHere
from overwinter.api.shapes_points import point_shape

router = APIRouter()


@router.delete(paths.POINT)
def delete_point(
    point: str, item: ItemHere, vault: VaultHere, api: TheApi, dry_run: bool = Query(False, alias="dryRun")
) -> Response:
    """Delete a recovery point: 200 with the point when it is kept for some days, 204 when it is gone.

    ``dryRun``: only whether that would be possible; 200 with the point as it is.
    """
    if dry_run:
        found = api.service.protection.check_point_deletion(item, point)
        return JSONResponse(point_shape(api.ids, vault, item, found))
    kept = api.service.protection.delete_point(item, point)
    return (
        Response(status_code=204) if kept is None else JSONResponse(point_shape(api.ids, vault, item, kept))
    )


@router.post(paths.POINT + "/overwinter/undelete")
def undelete_point(point: str, item: ItemHere, vault: VaultHere, api: TheApi) -> dict[str, object]:
    """Have a deleted recovery point back."""
    return point_shape(api.ids, vault, item, api.service.protection.undelete_point(item, point))
