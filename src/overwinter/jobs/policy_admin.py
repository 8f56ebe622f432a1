"""What a caller may ask of a vault's policies: make, change, remove. A change reaches existing points."""

from dataclasses import replace

from overwinter.catalog import items, policies, schedules, vaults
from overwinter.catalog.database import Transaction
from overwinter.jobs import point_expiry
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import PolicyInUse, VaultImmutable
from overwinter.model.policy import DEFAULT_POLICY, ENHANCED_POLICY, Policy
from overwinter.model.protection import Vault
from overwinter.model.retention_change import is_shorter


def put(runtime: Runtime, vault: Vault, policy: Policy) -> Policy:
    """Make a policy, or change the one of that name and what depends on it.

    New retention applies to the points there are. A new schedule counts from now on: what it would have run
    earlier today was not missed. Raises VaultImmutable for shorter retention of items in a vault where it may
    only grow.
    """
    with runtime.catalog.transaction() as tx:
        before = policies.find(tx, vault.id, policy.name)
        if before is not None and policies.item_count(tx, before.id):
            refuse_shorter_retention(vaults.get_by_id(tx, vault.id), before, policy)
        after = policies.put(tx, replace(policy, vault_id=vault.id))
        if before is not None:
            point_expiry.apply_to_items(tx, after)
            if _runs(before) != _runs(after):
                _begin_anew(tx, runtime, after)
        return after


def refuse_shorter_retention(vault: Vault, old: Policy, new: Policy) -> None:
    """Raise VaultImmutable when ``new`` keeps points for less long, in a vault where nothing may."""
    if vault.rules.is_immutable and is_shorter(old.content, new.content):
        raise VaultImmutable(
            f"Policy {new.name} would keep recovery points for less long than {old.name} does, and vault "
            f"{vault.name} is immutable: retention can only grow."
        )


def delete(runtime: Runtime, vault: Vault, name: str) -> None:
    """Remove a policy. Raises PolicyInUse, NotFound."""
    with runtime.catalog.transaction() as tx:
        policy = policies.get(tx, vault.id, name)
        if policy.name in (DEFAULT_POLICY, ENHANCED_POLICY):
            raise PolicyInUse(f"{policy.name} belongs to every vault and cannot be deleted.")
        bound = [item.vm_name for item in items.every(tx, vault.id) if item.policy_id == policy.id]
        if bound:
            raise PolicyInUse(
                f"{policy.name} is the policy of {', '.join(bound[:10])}. Give these VMs another first: "
                f"overwinter protect VM --vault {vault.name} --policy OTHER"
            )
        policies.delete(tx, policy.id)


def _runs(policy: Policy) -> tuple[object, str]:
    return policy.content.schedule, policy.content.zone.key


def _begin_anew(tx: Transaction, runtime: Runtime, policy: Policy) -> None:
    for item in items.every(tx, policy.vault_id):
        if item.policy_id == policy.id:
            schedules.set_done(tx, item.id, runtime.clock())
