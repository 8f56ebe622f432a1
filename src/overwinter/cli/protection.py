"""What the commands ask of the service about the life of protection and of single recovery points."""

from collections.abc import Mapping

from overwinter.cli.answers import read_view, refuse_slash, started, vault_address
from overwinter.cli.connection import Arm, Connection
from overwinter.cli.views import ItemView, JobView, MachineView, PointView, VaultView
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import DiskSelectionInvalid, NotFound
from overwinter.model.names import DEFAULT_RESOURCE_GROUP

_TYPE = "Microsoft.Compute/virtualMachines"


class Protection:
    """Part of the client of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def protect(
        self, vault: VaultView, machine: MachineView, policy: str, disks: DiskSelection | None
    ) -> JobView:
        """Bind a VM to a policy; ``disks`` are those to back up, null leaves them as they are."""
        refuse_slash("policy", policy)
        name = f"iaasvmcontainerv2;{DEFAULT_RESOURCE_GROUP};{machine.name.lower()}"
        container = f"{vault.address}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}"
        properties: Arm = {
            "policyId": f"{vault.address}/backupPolicies/{policy}",
            "sourceResourceId": machine.address,
        }
        if disks is not None:
            chosen = {"diskLunList": list(disks.luns), "isInclusionList": disks.included}
            properties["extendedProperties"] = {"diskExclusionProperties": chosen}
        return self._put(f"{container}/protectedItems/VM;{name}", properties)

    def stop(self, item: ItemView, *, expire: bool) -> JobView:
        """Stop backups and keep the points, with ``expire`` as long as the policy says."""
        state = "BackupsSuspended" if expire else "ProtectionStopped"
        return self._put(item.address, {"policyId": "", "protectionState": state})

    def delete_data(self, item: ItemView) -> JobView:
        """Stop backups and delete the points."""
        answer = self._connection.delete(item.address)
        return started(self._connection, vault_address(item.address), answer)

    def undelete(self, item: ItemView) -> JobView:
        """Have deleted data back."""
        asked = {"policyId": "", "protectionState": "ProtectionStopped", "isRehydrate": True}
        return self._put(item.address, asked)

    def check_point_deletion(self, point: PointView) -> None:
        """Ask whether a point may be deleted; a failure says why not."""
        self._connection.delete(point.address, dryRun="true")

    def delete_point(self, point: PointView, item: ItemView) -> PointView | None:
        """Delete one point; null when it is gone at once."""
        answer = self._connection.delete(point.address)
        if answer.status_code == 204:
            return None
        return read_view(lambda: PointView.read(answer.json(), item))

    def undelete_point(self, point: PointView, item: ItemView) -> PointView:
        """Have one deleted point back."""
        answer = self._connection.post(f"{point.address}/overwinter/undelete", {})
        return read_view(lambda: PointView.read(answer.json(), item))

    def set_rules(self, vault: VaultView, security: Mapping[str, object]) -> VaultView:
        """Change a vault's rules; ``security`` is ARM's securitySettings."""
        answer = self._connection.patch(vault.address, {"properties": {"securitySettings": security}})
        return read_view(lambda: VaultView.read(answer.json()))

    def _put(self, address: str, properties: Mapping[str, object]) -> JobView:
        body = {"properties": {"protectedItemType": _TYPE, **properties}}
        return started(self._connection, vault_address(address), self._connection.put(address, body))


def chosen_disks(machine: MachineView, names: str, *, included: bool) -> DiskSelection:
    """The disks that people named by LUN or target, comma-separated. Raises DiskSelectionInvalid."""
    by_name = {name: disk.lun for disk in machine.disks for name in (str(disk.lun), disk.target)}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in by_name:
            known = ", ".join(f"{disk.lun} ({disk.target})" for disk in machine.disks)
            raise DiskSelectionInvalid(f"{machine.name} has no disk {name!r}. It has: {known}.")
    return DiskSelection(tuple(sorted({by_name[name] for name in wanted})), included=included)


def point_named(points: list[PointView], name: str, vm: str) -> PointView:
    """The point of that id. Raises NotFound."""
    for point in points:
        if point.id == name:
            return point
    raise NotFound(f"The VM {vm!r} has no recovery point {name!r}.")
