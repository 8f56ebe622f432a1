"""Route of the support bundle: an action on a virtual machine that ARM does not know; its answer is a zip."""

from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from overwinter.api import paths
from overwinter.api.context import GroupHere, TheApi, in_default_group
from overwinter.model.errors import NotFound

router = APIRouter()

_PIECE = 64 * 1024


@router.post(paths.MACHINE_BUNDLE)
def make_bundle(machine: str, group: GroupHere, api: TheApi) -> StreamingResponse:
    """Gather what is known of a VM and its backups, without secrets. It changes nothing."""
    if not in_default_group(group):
        raise NotFound(f"There is no virtual machine {machine!r} in resource group {group!r}.")
    return StreamingResponse(_pieces(api.doctor.bundle(machine)), media_type="application/zip")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
