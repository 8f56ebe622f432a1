"""Vaults and protected items: which VM is protected where, by which policy, in which state."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ProtectionState(StrEnum):
    """Protection state of an item, in the words of the ARM API."""

    PENDING = "IRPending"
    PROTECTED = "Protected"
    STOPPED = "ProtectionStopped"


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
    which disks the support profile takes.
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


@dataclass(frozen=True)
class ProtectedItem:
    """A VM bound to a policy in one vault.

    ``vm_name`` and ``resource_group`` are those of the time of protection; the VM is followed by
    ``vm_uuid``. The times are null until the first backup.
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

    @property
    def is_active(self) -> bool:
        """Whether backups may run."""
        return self.state in (ProtectionState.PENDING, ProtectionState.PROTECTED)
