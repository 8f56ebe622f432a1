"""Vaults and protected items: which VM is protected where, by which policy, in which state."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from overwinter.model.disk_selection import EVERY_DISK, DiskSelection
from overwinter.model.vault_rules import NEW_RULES, VaultRules


class ProtectionState(StrEnum):
    """Protection state of an item, in the words of the ARM API.

    ``STOPPED`` keeps all recovery points without end, ``SUSPENDED`` lets them expire by the policy.
    """

    PENDING = "IRPending"
    PROTECTED = "Protected"
    STOPPED = "ProtectionStopped"
    SUSPENDED = "BackupsSuspended"


class KeyKind(StrEnum):
    """How a vault's key is held."""

    PASSPHRASE = "passphrase"
    KEY_FILE = "key-file"
    TOKEN = "token"
    RECOVERY = "recovery"


class StackVersion(StrEnum):
    """Backup stack of a vault; V1 existed in the 2018 edition and can be upgraded, never back."""

    V1 = "V1"
    V2 = "V2"


@dataclass(frozen=True)
class Vault:
    """A Recovery Services vault: a named store in a resource group.

    ``url`` says where the vault-tier data lie (``file:///…``); ``key_reference`` where the service finds the
    secret that opens it, never the secret itself (forms: ``vault/keys/reference.py``). ``stack`` decides
    which disks the support profile takes. ``rules`` is a copy of what the vault itself keeps and obeys.
    """

    id: UUID
    name: str
    resource_group: str
    location: str
    url: str
    key_kind: KeyKind
    key_reference: str
    created: datetime
    stack: StackVersion = StackVersion.V2
    rules: VaultRules = NEW_RULES


@dataclass(frozen=True)
class ProtectedItem:
    """A VM bound to a policy in one vault.

    The VM is followed by ``vm_uuid``; ``vm_name`` is its name as last seen, ``missing_since`` when it was
    found to exist no more. ``deleted_until`` is set for an item whose data was deleted: until then it can be
    had back (the ARM API calls that a deferred delete). The times of backups are null until the first one.
    """

    id: UUID
    vault_id: UUID
    policy_id: UUID
    vm_uuid: UUID
    vm_name: str
    resource_group: str
    state: ProtectionState
    created: datetime
    last_backup: datetime | None = None
    last_backup_status: str = ""
    last_recovery_point: datetime | None = None
    disks: DiskSelection = EVERY_DISK
    deleted_until: datetime | None = None
    missing_since: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether backups may run."""
        return self.state in (ProtectionState.PENDING, ProtectionState.PROTECTED)

    @property
    def is_deleted(self) -> bool:
        """Whether its data was deleted and can be had back."""
        return self.deleted_until is not None

    @property
    def points_expire(self) -> bool:
        """Whether its recovery points go when they expire: stopped protection keeps them."""
        return self.state is not ProtectionState.STOPPED
