"""What must be true before a backup touches the VM, each condition with its own code, in a fixed order."""

from dataclasses import dataclass, replace
from uuid import UUID

from overwinter.catalog import items, points, policies
from overwinter.catalog import jobs as job_table
from overwinter.guest.agent import GuestAgent
from overwinter.hypervisor import inventory
from overwinter.jobs import prune
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import (
    DatasourceNotPresent,
    GuestAgentUnavailable,
    RestorePointLimitReached,
    VmNotInDesirableState,
)
from overwinter.model.extension import WithoutAgent
from overwinter.model.job import JobError
from overwinter.model.point import Consistency
from overwinter.model.policy import MAX_RESTORE_POINTS, Policy
from overwinter.model.protection import ProtectedItem
from overwinter.model.vm import PowerState, VirtualMachine


@dataclass(frozen=True)
class Prepared:
    """The backup may go on; ``freeze`` tells whether the guest can be asked to freeze its file systems."""

    freeze: bool
    warnings: tuple[JobError, ...] = ()


def item_and_policy(runtime: Runtime, job_id: UUID) -> tuple[ProtectedItem, Policy]:
    """The item a backup job is about, with its policy. Raises DatasourceNotPresent when it is not active."""
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        if item is None or not item.is_active:
            raise DatasourceNotPresent(
                f"{job.vm_name} is not actively protected. Protect it first: "
                f"overwinter protect {job.vm_name} --vault VAULT"
            )
        return item, policies.get_by_id(tx, item.policy_id)


def check(runtime: Runtime, job_id: UUID) -> Prepared:
    """All checks before the freeze. Raises the first failing one's error; the VM was not touched."""
    item, policy = item_and_policy(runtime, job_id)
    machine = inventory.machine(runtime.hypervisor, item.vm_uuid)
    _check_state(machine)
    warnings = _not_covered(machine) + _check_restore_points(runtime, item, policy)
    prepared = _check_agent(runtime, machine, policy)
    return replace(prepared, warnings=warnings + prepared.warnings)


def _check_state(machine: VirtualMachine) -> None:
    if machine.state is PowerState.PAUSED:
        raise DatasourceNotPresent(
            f"{machine.name} is paused, so its guest can neither freeze nor flush. Resume it "
            f"(virsh resume {machine.name}), then back up again."
        )
    if machine.state not in (PowerState.RUNNING, PowerState.STOPPED):
        raise VmNotInDesirableState(
            f"{machine.name} is {machine.state}. Wait until it is running or stopped, then back up again."
        )
    machine.require_readable_disks()
    if not machine.disks:
        reasons = "; ".join(f"{target}: {reason}" for target, reason in machine.skipped_disks)
        raise VmNotInDesirableState(
            f"{machine.name} has no disk that can be backed up ({reasons or 'none'})."
        )


def _not_covered(machine: VirtualMachine) -> tuple[JobError, ...]:
    return tuple(
        JobError("DiskNotCovered", f"Disk {target} of {machine.name} is not part of the backup: {reason}.")
        for target, reason in machine.uncovered_disks
    )


def _check_restore_points(runtime: Runtime, item: ProtectedItem, policy: Policy) -> tuple[JobError, ...]:
    warnings = prune.expire(runtime, item, policy)
    with runtime.catalog.transaction() as tx:
        count = len(points.restore_points_of(tx, item.vm_uuid))
    if count >= MAX_RESTORE_POINTS:
        raise RestorePointLimitReached(
            f"{item.vm_name} has {count} restore points, the most it can have, and none could be cleaned up."
        )
    return warnings


def _check_agent(runtime: Runtime, machine: VirtualMachine, policy: Policy) -> Prepared:
    strict = not Consistency.CRASH.satisfies(policy.required_consistency)
    if policy.content.crash_consistent_only:
        return Prepared(freeze=False)
    if not machine.is_active:
        if strict:
            raise VmNotInDesirableState(
                f"{machine.name} is stopped, so nobody can vouch for its file systems, and policy "
                f"{policy.name} requires {policy.required_consistency} points. Start it, then back up again."
            )
        return Prepared(freeze=False)
    try:
        GuestAgent(runtime.hypervisor, machine.uuid).ping()
    except GuestAgentUnavailable as error:
        if strict:
            raise GuestAgentUnavailable(
                f"The guest agent of {machine.name} does not answer, and policy {policy.name} requires "
                f"{policy.required_consistency} points: {error.message}"
            ) from error
        if policy.content.extension.without_agent is WithoutAgent.FAIL:
            raise GuestAgentUnavailable(
                f"The guest agent of {machine.name} does not answer, and policy {policy.name} makes no point "
                f"without it: {error.message}"
            ) from error
        return Prepared(freeze=False, warnings=(JobError(error.code, error.message),))
    return Prepared(freeze=True)
