"""Routes of the extension in a VM. There is one kind; the guest is asked at each call."""

from fastapi import APIRouter
from fastapi.responses import Response

from overwinter.api import paths
from overwinter.api.context import Api, GroupHere, TheApi
from overwinter.api.routes_machines import machine_of
from overwinter.api.shapes_extensions import NAME, extension_shape, is_installed
from overwinter.model.errors import NotFound
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.vm import VirtualMachine

router = APIRouter()

Shape = dict[str, object]


@router.get(paths.MACHINE + "/extensions")
def list_extensions(machine: str, group: GroupHere, api: TheApi) -> Shape:
    """The extension, if the guest has it."""
    vm = machine_of(api, group, machine)
    status = api.service.extensions.status(vm)
    found = [status] if status is not None and is_installed(status) else []
    return {"value": [extension_shape(api.ids, vm, each) for each in found]}


@router.get(paths.EXTENSION)
def get_extension(machine: str, extension: str, group: GroupHere, api: TheApi) -> Shape:
    """The extension with how it is now."""
    vm = _machine_of(api, group, machine, extension)
    return extension_shape(api.ids, vm, _installed(api, vm))


@router.put(paths.EXTENSION)
def install_extension(machine: str, extension: str, group: GroupHere, api: TheApi) -> Shape:
    """Install, renew or repair it; the answer comes when that is done."""
    vm = _machine_of(api, group, machine, extension)
    return extension_shape(api.ids, vm, api.service.extensions.install(vm))


@router.delete(paths.EXTENSION)
def delete_extension(machine: str, extension: str, group: GroupHere, api: TheApi) -> Response:
    """Take it away; 204 when the guest has none."""
    vm = _machine_of(api, group, machine, extension)
    if not is_installed(api.service.extensions.status(vm)):
        return Response(status_code=204)
    api.service.extensions.remove(vm)
    return Response(status_code=200)


def _machine_of(api: Api, group: str, machine: str, extension: str) -> VirtualMachine:
    vm = machine_of(api, group, machine)
    if extension.casefold() != NAME.casefold():
        raise NotFound(f"There is no extension {extension!r}. The only one is {NAME}.")
    return vm


def _installed(api: Api, vm: VirtualMachine) -> ExtensionStatus:
    status = api.service.extensions.status(vm)
    if status is None or not is_installed(status):
        raise NotFound(f"The extension {NAME} is not installed in {vm.name}, or the guest cannot be asked.")
    return status
