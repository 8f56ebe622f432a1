"""Names and resource ids of the ARM dialect: how they are built, and how names are read back from them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from overwinter.model.errors import NotFound, RequestError
from overwinter.model.lock import LockScope
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.point import RestorePointCollection
from overwinter.model.protection import ProtectedItem, Vault

T = TypeVar("T")

_CONTAINER_KIND = "iaasvmcontainerv2"
_VAULT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,49}")
_POLICY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,149}")
_GROUP_NAME = re.compile(r"[A-Za-z0-9_()][A-Za-z0-9_().-]{0,88}[A-Za-z0-9_()-]|[A-Za-z0-9_()]")


def container_name(resource_group: str, vm: str) -> str:
    """``iaasvmcontainerv2;<group>;<vm>``, in lower case as ARM writes it."""
    return f"{_CONTAINER_KIND};{resource_group.lower()};{vm.lower()}"


def vm_of_item_name(name: str) -> str:
    """The VM in ``VM;iaasvmcontainerv2;<group>;<vm>``; raises NotFound when it is no such name."""
    parts = name.split(";", 3)
    if len(parts) != 4 or parts[0].casefold() != "vm" or parts[1].casefold() != _CONTAINER_KIND:
        raise NotFound(
            f"There is no protected item {name!r}: its name would be VM;{_CONTAINER_KIND};GROUP;VM."
        )
    return parts[3]


def last_name(resource_id: str, kind: str) -> str:
    """The name at the end of a resource id ``…/<kind>/<name>``; empty segments do not matter.

    Raises RequestError when the id ends otherwise.
    """
    segments = [segment for segment in resource_id.split("/") if segment]
    if len(segments) < 2 or segments[-2].casefold() != kind.casefold():
        raise RequestError(f"{resource_id[:200]!r} is not the id of a resource …/{kind}/NAME.")
    return segments[-1]


def find(rows: Iterable[T], name: str, name_of: Callable[[T], str], what: str) -> T:
    """The row of that name: written exactly so, or else the only one that differs just in letter case.

    Raises NotFound, or RequestError when several differ only in case.
    """
    rows = [row for row in rows if name_of(row).casefold() == name.casefold()]
    exact = [row for row in rows if name_of(row) == name]
    if len(exact or rows) == 1:
        return (exact or rows)[0]
    if rows:
        raise RequestError(f"Several {what}s differ from {name!r} only in letter case. Rename all but one.")
    raise NotFound(f"There is no {what} {name!r}.")


def check_vault_name(name: str) -> None:
    """Raise RequestError unless a new vault may have this name."""
    if not _VAULT_NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot be the name of a vault: 2 to 50 letters, digits and hyphens, "
            "starting with a letter."
        )


def check_policy_name(name: str) -> None:
    """Raise RequestError unless a new policy may have this name."""
    if not _POLICY_NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot be the name of a policy: 3 to 150 letters, digits and hyphens, "
            "starting with a letter."
        )


def check_group_name(name: str) -> None:
    """Raise RequestError unless a resource group may have this name."""
    if not _GROUP_NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot be the name of a resource group: up to 90 letters, digits, "
            "underscores, hyphens, dots and parentheses, not ending in a dot."
        )


@dataclass(frozen=True)
class Ids:
    """Builds the absolute ids of the resources of one subscription."""

    subscription_id: UUID

    @property
    def subscription(self) -> str:
        """Id of the subscription."""
        return f"/subscriptions/{self.subscription_id}"

    def group(self, name: str) -> str:
        """Id of a resource group."""
        return f"{self.subscription}/resourceGroups/{name}"

    def machine(self, vm: str, resource_group: str = DEFAULT_RESOURCE_GROUP) -> str:
        """Id of a VM."""
        return f"{self.group(resource_group)}/providers/Microsoft.Compute/virtualMachines/{vm}"

    def scope(self, scope: LockScope) -> str:
        """Id of what a lock can be put on."""
        return f"{self.subscription}{scope}"

    def collection(self, collection: RestorePointCollection) -> str:
        """Id of a restore point collection."""
        return self.scope(LockScope(collection.resource_group, collection.name))

    def disk(self, name: str) -> str:
        """Id of a VM's disk."""
        return f"{self.group(DEFAULT_RESOURCE_GROUP)}/providers/Microsoft.Compute/disks/{name}"

    def vault(self, vault: Vault) -> str:
        """Id of a vault."""
        return f"{self.group(vault.resource_group)}/providers/Microsoft.RecoveryServices/vaults/{vault.name}"

    def policy(self, vault: Vault, name: str) -> str:
        """Id of a policy."""
        return f"{self.vault(vault)}/backupPolicies/{name}"

    def container(self, vault: Vault, resource_group: str, vm: str) -> str:
        """Id of the protection container of a VM."""
        name = f"IaasVMContainer;{container_name(resource_group, vm)}"
        return f"{self.vault(vault)}/backupFabrics/Azure/protectionContainers/{name}"

    def item(self, vault: Vault, item: ProtectedItem) -> str:
        """Id of a protected item."""
        return self.item_of_machine(vault, item.resource_group, item.vm_name)

    def item_of_machine(self, vault: Vault, resource_group: str, vm: str) -> str:
        """Id that the protected item of a VM has or would have."""
        container = self.container(vault, resource_group, vm)
        return f"{container}/protectedItems/VM;{container_name(resource_group, vm)}"

    def protectable(self, vault: Vault, vm: str) -> str:
        """Id of a VM as something that can be protected in a vault."""
        container = self.container(vault, DEFAULT_RESOURCE_GROUP, vm)
        return f"{container}/protectableItems/vm;{container_name(DEFAULT_RESOURCE_GROUP, vm)}"

    def point(self, vault: Vault, item: ProtectedItem, point_id: str) -> str:
        """Id of a recovery point."""
        return f"{self.item(vault, item)}/recoveryPoints/{point_id}"

    def job(self, vault: Vault, job_id: UUID) -> str:
        """Id of a job."""
        return f"{self.vault(vault)}/backupJobs/{job_id}"
