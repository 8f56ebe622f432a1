"""Making a vault usable again whose config or index is damaged: both are remade from what else it holds.

Looking through a large vault takes long. So it is done only after a backup or verification told of damage.
"""

from contextlib import closing
from uuid import UUID

from overwinter.catalog import jobs as job_table
from overwinter.catalog import vaults
from overwinter.catalog.database import Transaction
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.model.job import JobOperation
from overwinter.model.protection import Vault
from overwinter.vault import RepairReport, key_at, repair

_DAMAGED = (VaultDataCorrupt.code, VaultObjectMissing.code)

_INDEX = "index/"


def finding(runtime: Runtime, vault_id: UUID) -> str | None:
    """What is wrong with a vault's config or index, in a sentence.

    Null when nothing is known to be, or when the vault cannot be looked into for another reason.
    """
    with runtime.catalog.transaction() as tx:
        vault = vaults.get_by_id(tx, vault_id)
        if not was_told(tx, vault_id):
            return None
    try:
        store = runtime.vaults.open_new(vault.url, vault.key_reference)
    except VaultDataCorrupt as error:
        return f"Vault {vault.name} cannot be opened: {error.message}"
    except VaultError:
        return None
    with closing(store):
        try:
            damages = store.verify().damages
        except VaultError:
            return None
    found = next((each for each in damages if each.object.startswith(_INDEX) and not each.harmless), None)
    return None if found is None else f"The index of vault {vault.name} is damaged: {found.reason}."


def repaired(runtime: Runtime, vault: Vault, *, remove_lost: bool) -> RepairReport:
    """Repair a vault, also one that cannot be opened."""
    now = runtime.clock()
    try:
        store = runtime.vaults.open(vault)
    except VaultDataCorrupt:
        return repair(vault.url, key_at(vault.key_reference), now=now, remove_lost=remove_lost)
    return store.repair(now=now, remove_lost=remove_lost)


def rebuild(runtime: Runtime, vault_id: UUID) -> None:
    """Remake config and index; no recovery point is removed."""
    with runtime.catalog.transaction() as tx:
        vault = vaults.get_by_id(tx, vault_id)
    repaired(runtime, vault, remove_lost=False)


def was_told(tx: Transaction, vault_id: UUID) -> bool:
    """Whether the last backup, or the last verification, of the vault told of damage."""
    last = (job_table.last_of(tx, vault_id, kind) for kind in (JobOperation.BACKUP, JobOperation.VERIFY))
    return any(error.code in _DAMAGED for job in last if job is not None for error in job.errors)
