"""Repairs of the vault that a VM's points are in."""

from overwinter.jobs import vault_healing, vault_mending
from overwinter.jobs.repairs.repair import Case, Repair


def _damaged_index(case: Case) -> str | None:
    return vault_mending.finding(case.runtime, case.item.vault_id)


def _rebuild_index(case: Case) -> None:
    """Nothing to undo: config and index say again what packs and manifests say. No point is removed."""
    vault_mending.rebuild(case.runtime, case.item.vault_id)


def _damaged_data(case: Case) -> str | None:
    return vault_healing.finding(case.runtime, case.item)


def _heal(case: Case) -> None:
    """Nothing to undo: data is added to the vault, none is taken away."""
    vault_healing.heal(case.runtime, case.item, case.check)


REPAIRS = (
    Repair(
        "index-rebuild",
        action="Make the vault's config and index anew from what else it holds.",
        touches="All VMs of the vault: it is read in full, which may take long. Backups may go on.",
        finding=_damaged_index,
        act=_rebuild_index,
    ),
    Repair(
        "chunk-heal",
        action="Store what is damaged anew, from the frozen disks on the host.",
        touches="The host's disks and the vault's storage are read and written. The VM runs on.",
        finding=_damaged_data,
        act=_heal,
    ),
)
