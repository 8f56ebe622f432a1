"""What a caller may ask of a vault's policies: make, change, remove. A change reaches existing points."""

from dataclasses import replace

from overwinter.catalog import items, policies, schedules
from overwinter.catalog.database import Transaction
from overwinter.jobs import expiry
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import PolicyInUse
from overwinter.model.policy import DEFAULT_POLICY, ENHANCED_POLICY, Policy
from overwinter.model.protection import Vault


def put(runtime: Runtime, vault: Vault, policy: Policy) -> Policy:
    """Make a policy, or change the one of that name and what depends on it.

    New retention applies to the points there are. A new schedule counts from now on: what it would have run
    earlier today was not missed.
    """
    with runtime.catalog.transaction() as tx:
        before = policies.find(tx, vault.id, policy.name)
        after = policies.put(tx, replace(policy, vault_id=vault.id))
        if before is not None:
            expiry.apply_to_items(tx, after)
            if _runs(before) != _runs(after):
                _begin_anew(tx, runtime, after)
        return after


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
