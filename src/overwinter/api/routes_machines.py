"""Routes of the subscription and of the virtual machines in it."""

from fastapi import APIRouter, Query

from overwinter.api import paths
from overwinter.api.context import Api, GroupHere, TheApi, in_default_group
from overwinter.api.ids import find
from overwinter.api.shapes_machines import instance_view, machine_shape
from overwinter.api.shapes_profile import profile_shape
from overwinter.model.errors import NotFound
from overwinter.model.vm import VirtualMachine

subscriptions = APIRouter()
router = APIRouter()

Shape = dict[str, object]


@subscriptions.get("/subscriptions")
def list_subscriptions(api: TheApi) -> Shape:
    """The one subscription of this service."""
    return {"value": [_subscription(api)], "count": {"type": "Total", "value": 1}}


@router.get(paths.SUBSCRIPTION)
def get_subscription(api: TheApi) -> Shape:
    """The subscription itself."""
    return _subscription(api)


@router.get(paths.SUBSCRIPTION + paths.MACHINES)
def list_machines(api: TheApi) -> Shape:
    """All VMs."""
    return api.rows([machine_shape(api.ids, vm) for vm in api.service.machines()])


@router.get(paths.GROUP + paths.MACHINES)
def list_machines_of_group(group: GroupHere, api: TheApi) -> Shape:
    """The VMs of a resource group."""
    machines = api.service.machines() if in_default_group(group) else []
    return api.rows([machine_shape(api.ids, vm) for vm in machines])


@router.get(paths.MACHINE)
def get_machine(
    machine: str, group: GroupHere, api: TheApi, expand: str = Query("", alias="$expand")
) -> Shape:
    """One VM; with its instance view when asked for."""
    vm = _machine_of(api, group, machine)
    shape = machine_shape(api.ids, vm)
    if expand.casefold() == "instanceview":
        properties = shape["properties"]
        assert isinstance(properties, dict)
        properties["instanceView"] = instance_view(vm, api.service.agent_status(vm), api.now)
    return shape


@router.get(paths.MACHINE + "/instanceView")
def get_instance_view(machine: str, group: GroupHere, api: TheApi) -> Shape:
    """How a VM is at this moment."""
    vm = _machine_of(api, group, machine)
    return instance_view(vm, api.service.agent_status(vm), api.now)


def _machine_of(api: Api, group: str, name: str) -> VirtualMachine:
    """The VM of that name in a group; NotFound."""
    if not in_default_group(group):
        raise NotFound(f"There is no virtual machine {name!r} in resource group {group!r}.")
    return find(api.service.machines(), name, lambda vm: vm.name, "virtual machine")


def _subscription(api: Api) -> Shape:
    number = str(api.service.subscription_id)
    return {
        "id": api.ids.subscription,
        "subscriptionId": number,
        "tenantId": number,
        "displayName": "Overwinter",
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "overwinter": {"supportProfile": profile_shape(api.service.profile, api.audience.language)},
        "subscriptionPolicies": {
            "locationPlacementId": "Internal",
            "quotaId": "Internal",
            "spendingLimit": "Off",
        },
    }
