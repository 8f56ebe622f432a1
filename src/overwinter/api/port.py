"""What the API needs from the room below: the interface of the service that ties the house together."""

from datetime import datetime
from pathlib import Path
from typing import IO, Protocol
from uuid import UUID

from overwinter.doctor.report import Report
from overwinter.jobs.point_admin import CollectionContent
from overwinter.jobs.repairs import Finding
from overwinter.jobs.vault_points import TakenIn
from overwinter.model.agent import AgentStatus
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.job import Job
from overwinter.model.lock import Lock, LockLevel, LockScope
from overwinter.model.point import PointDisk, RecoveryPoint
from overwinter.model.policy import Policy
from overwinter.model.profile import SupportProfile
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete
from overwinter.model.vm import VirtualMachine
from overwinter.vault import VaultStats


class VaultAdmin(Protocol):
    """Whole vaults; every method may raise the model's errors."""

    def every(self) -> list[Vault]:
        """All vaults."""

    def create(
        self, name: str, resource_group: str, url: str | None = None, key_reference: str | None = None
    ) -> Vault:
        """Make a vault with its key and default policies; an existing one of that name is returned."""

    def attach(self, name: str, resource_group: str, url: str, key_reference: str) -> tuple[Vault, TakenIn]:
        """Take in a vault that exists, with every recovery point in it; ``AlreadyExists``."""

    def use_key(self, name: str, key_reference: str) -> Vault:
        """From now on open a vault with another secret; ``VaultKeyWrong``."""

    def upgrade_stack(self, name: str) -> Vault:
        """Bring a vault to stack V2, for good."""

    def set_rules(
        self,
        name: str,
        *,
        soft_delete: SoftDelete | None = None,
        soft_delete_days: int | None = None,
        immutability: Immutability | None = None,
    ) -> Vault:
        """Change what a vault forbids; ``VaultSettingIrreversible``."""

    def detach(self, name: str) -> None:
        """Forget a vault and leave its content; ``VaultNotEmpty``."""

    def delete(self, name: str) -> None:
        """Remove an empty vault; ``VaultNotEmpty``."""

    def verify(self, name: str, *, read_percent: float, point_id: str | None) -> Job:
        """Verify a vault, or what one recovery point needs."""

    def repair(self, name: str, *, remove_lost: bool) -> Job:
        """Make a vault usable again from what is whole of it."""

    def copy(self, name: str, target: str, point_ids: list[str] | None) -> Job:
        """Copy recovery points into another vault."""

    def clean_up(self, name: str) -> Job:
        """Remove from a vault what no recovery point needs."""

    def stats(self, name: str) -> tuple[VaultStats, int | None]:
        """What a vault holds and costs, and the bytes left for it where that is known."""

    def recovery_points(self, name: str) -> dict[str, str]:
        """Ids of the recovery points of a vault, by their names in the vault."""


class RestorePointAdmin(Protocol):
    """Restore points on the host, their collections, and locks; every method may raise the model's errors."""

    def groups(self) -> list[str]:
        """All resource groups."""

    def collections(self) -> list[CollectionContent]:
        """All collections with what is in them."""

    def collection(self, resource_group: str, name: str) -> CollectionContent:
        """One collection; ``NotFound``."""

    def delete_points(self, resource_group: str, name: str, point: str | None = None) -> Job:
        """Start deleting a collection, or one restore point in it; ``ScopeLocked``."""

    def clean_up(self, item: ProtectedItem) -> Job:
        """Start removing a VM's expired restore points."""

    def locks(self) -> list[Lock]:
        """All locks."""

    def lock(self, scope: LockScope, name: str) -> Lock:
        """One lock; ``LockNotFound``."""

    def put_lock(self, scope: LockScope, name: str, level: LockLevel, notes: str | None) -> Lock:
        """Set a lock, or change it; ``ResourceGroupNotFound``."""

    def delete_lock(self, scope: LockScope, name: str) -> None:
        """Remove a lock; ``LockNotFound``."""


class ProtectionAdmin(Protocol):
    """The protection of VMs; every method may raise the model's errors."""

    def protect(
        self, vault: Vault, machine: VirtualMachine, policy_name: str, disks: DiskSelection | None = None
    ) -> Job:
        """Bind a VM to a policy, or change an item's policy or disks; ``ProtectedInAnotherVault``."""

    def stop(self, item: ProtectedItem, *, expire: bool = False) -> Job:
        """Stop backups and keep the points, with ``expire`` as long as the policy says."""

    def delete_data(self, item: ProtectedItem) -> Job:
        """Stop backups and delete the points by the vault's rules; ``VaultImmutable``."""

    def undelete(self, item: ProtectedItem) -> Job:
        """Have deleted data back."""

    def check_point_deletion(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """The point, if it may be deleted now."""

    def delete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint | None:
        """Delete one point; null when it is gone at once."""

    def undelete_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """Have one deleted point back."""


class Doctor(Protocol):
    """Looks at VMs."""

    def examine(self, vm: str) -> Report:
        """All checks of a VM; bounded in time; ``NotFound``."""

    def bundle(self, vm: str) -> IO[bytes]:
        """A zip for who helps from afar, for the caller to read and close; bounded in time; ``NotFound``."""


class ExtensionAdmin(Protocol):
    """The extension in VMs; every method asks the guest and may raise the model's errors."""

    def status(self, vm: VirtualMachine) -> ExtensionStatus | None:
        """How it is; null when the guest cannot be asked."""

    def install(self, vm: VirtualMachine) -> ExtensionStatus:
        """Install or repair it; ``ExtensionUnavailable``, ``ExtensionFailed``."""

    def remove(self, vm: VirtualMachine) -> None:
        """Take it away."""


class Service(Protocol):
    """Machines, vaults, policies, items, points and jobs; every method may raise the model's errors.

    The methods block; the API calls them from worker threads. Methods that return a job have started it.
    """

    @property
    def subscription_id(self) -> UUID:
        """Made at the first start, never changed."""

    def machines(self) -> list[VirtualMachine]:
        """All VMs of the host."""

    def agent_status(self, vm: VirtualMachine) -> AgentStatus:
        """Ask the VM's guest agent how it is; bounded in time."""

    @property
    def extensions(self) -> ExtensionAdmin:
        """The extension in VMs."""

    @property
    def vaults(self) -> VaultAdmin:
        """Whole vaults."""

    @property
    def points(self) -> RestorePointAdmin:
        """Restore points on the host, and locks."""

    @property
    def profile(self) -> SupportProfile:
        """What is supported, and how the service behaves at its limits."""

    def policies(self, vault: Vault) -> list[Policy]:
        """All policies of a vault."""

    def put_policy(self, vault: Vault, policy: Policy) -> Policy:
        """Make or change a policy."""

    def delete_policy(self, vault: Vault, name: str) -> None:
        """Remove a policy that no item uses."""

    def policy_item_count(self, policy: Policy) -> int:
        """How many items are bound to the policy."""

    @property
    def protection(self) -> ProtectionAdmin:
        """The protection of VMs."""

    def items(self, vault: Vault | None = None) -> list[ProtectedItem]:
        """All protected items, of one vault or of all."""

    def backup(self, item: ProtectedItem, *, expires: datetime | None) -> Job:
        """Start a backup; ``BackupOperationInProgress``, ``DatasourceNotPresent``."""

    def plan_repairs(self, item: ProtectedItem) -> list[Finding]:
        """What a machine could mend of an item's VM; ``ProtectedVmNotFound``."""

    def repair(self, item: ProtectedItem) -> Job:
        """Mend it; ``BackupOperationInProgress``, ``ProtectedVmNotFound``."""

    def recovery_points(self, item: ProtectedItem) -> list[RecoveryPoint]:
        """All recovery points of an item."""

    def recovery_point(self, item: ProtectedItem, id: str) -> RecoveryPoint:  # noqa: A002
        """One recovery point; ``NotFound``."""

    def manifest_disks(self, point: RecoveryPoint) -> list[PointDisk]:
        """The disks a recovery point holds."""

    def left_out_disks(self, point: RecoveryPoint) -> list[tuple[str, int]]:
        """Target and LUN of the VM's other disks at that time."""

    def restore_as_vm(
        self, point: RecoveryPoint, *, vm_name: str, directory: Path | None, start: bool
    ) -> Job:
        """Restore as a new VM and start it if asked; ``AlreadyExists``."""

    def restore_disks(self, point: RecoveryPoint, *, directory: Path) -> Job:
        """Restore the disks as files; ``AlreadyExists``."""

    def jobs(self, vault: Vault | None = None) -> list[Job]:
        """All jobs, of one vault or of all."""

    def job(self, id: UUID) -> Job:  # noqa: A002
        """One job; ``NotFound``."""

    def cancel(self, id: UUID) -> Job:  # noqa: A002
        """Ask a job to stop; ``NotCancellable``."""
