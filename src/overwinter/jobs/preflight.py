"""What must be true before a backup touches the VM, each condition with its own code, in a fixed order.

The order is that of the reference articles: protection active, no other job of the VM (in whatever vault; the
catalog refuses that when the backup is requested), state of the VM, disks, secrets of encrypted disks,
restore points, space for the overlays, agent. docs/architecture.md has it as a table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from overwinter.catalog import items, points, policies, vaults
from overwinter.catalog import jobs as job_table
from overwinter.hypervisor import secrets
from overwinter.hypervisor.capture import OVERLAY_RESERVE_BYTES
from overwinter.hypervisor.capture import Capture as CaptureMethod
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import disk_rules, guest_agents, locking, prune, transfer
from overwinter.jobs.follow import machine_of
from overwinter.jobs.progress import TaskReporter
from overwinter.jobs.runtime import Runtime
from overwinter.model.agent import FREEZE_COMMANDS, AgentState, AgentStatus
from overwinter.model.errors import (
    DatasourceNotPresent,
    GuestAgentUnavailable,
    RestorePointLimitReached,
    VaultError,
    VmFailed,
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
                f"overwinter protect {job.vm_name} --vault VAULT",
                cause="C-NOT-PROTECTED",
            )
        return item, policies.get_by_id(tx, item.policy_id)


def check(runtime: Runtime, job_id: UUID) -> Prepared:
    """All checks before the freeze. Raises the first failing one's error; the VM was not touched."""
    item, policy = item_and_policy(runtime, job_id)
    with runtime.catalog.transaction() as tx:
        stack = vaults.get_by_id(tx, item.vault_id).stack
    machine = item.disks.applied(machine_of(runtime, item))
    _check_state(machine, policy)
    disk_rules.check(machine, runtime.settings.profile, stack)
    secrets.check_readable(runtime.hypervisor, machine)
    reporter = TaskReporter(runtime, job_id, "")
    warnings = _not_covered(machine) + _make_room(runtime, job_id, item, policy, reporter.check)
    _check_space(runtime, machine)
    prepared = _check_agent(runtime, machine, policy)
    return replace(prepared, warnings=warnings + prepared.warnings)


def _check_state(machine: VirtualMachine, policy: Policy) -> None:
    if machine.failure:
        raise VmFailed(
            f"{machine.name} is in a failed state: {machine.failure}. Repair that, resume or restart the VM, "
            "then back up again.",
            cause=machine.failure_cause,
        )
    if machine.state is PowerState.PAUSED:
        raise DatasourceNotPresent(
            f"{machine.name} is paused, so its guest can neither freeze nor flush. Resume it "
            f"(virsh resume {machine.name}), then back up again.",
            cause="C-VM-PAUSED",
        )
    if machine.state not in (PowerState.RUNNING, PowerState.STOPPED):
        raise VmNotInDesirableState(
            f"{machine.name} is {machine.state}. Wait until it is running or stopped, then back up again.",
            cause="C-VM-STATE",
        )
    if not machine.is_active and _is_strict(policy):
        raise VmNotInDesirableState(
            f"{machine.name} is stopped, so nobody can vouch for its file systems, and policy "
            f"{policy.name} requires {policy.required_consistency} points. Start it, then back up again.",
            cause="C-OFF-UNDER-POLICY",
        )
    machine.require_readable_disks()
    if not machine.disks:
        reasons = "; ".join(f"{target}: {reason}" for target, reason in machine.skipped_disks)
        raise VmNotInDesirableState(
            f"{machine.name} has no disk that can be backed up ({reasons or 'none'}).",
            cause="C-DISK-UNCOVERED" if machine.uncovered_disks else None,
        )


def _is_strict(policy: Policy) -> bool:
    return not Consistency.CRASH.satisfies(policy.required_consistency)


def _not_covered(machine: VirtualMachine) -> tuple[JobError, ...]:
    return tuple(
        JobError("DiskNotCovered", f"Disk {target} of {machine.name} is not part of the backup: {reason}.")
        for target, reason in machine.uncovered_disks
    )


def _make_room(
    runtime: Runtime, job_id: UUID, item: ProtectedItem, policy: Policy, check: Callable[[], None]
) -> tuple[JobError, ...]:
    """See `check_restore_points`. Brings the oldest point into the vault where nothing else makes room.

    Or a VM whose vault was away for long could never be backed up again: all its points would only be on the
    host, and none could go.
    """
    try:
        return check_restore_points(runtime, item, policy, check)
    except RestorePointLimitReached as full:
        with runtime.catalog.transaction() as tx:
            oldest = min(points.restore_points_of(tx, item.vm_uuid), key=lambda point: point.created)
            found = points.recovery_point_of(tx, oldest.id)
            is_held = oldest.id in locking.held_points(tx, item.vm_uuid)
        if is_held or found is None or found.manifest is not None or not runtime.settings.profile.makes_room:
            raise
        try:
            warnings = transfer.transfer(runtime, job_id, oldest.id)
        except VaultError as error:
            raise RestorePointLimitReached(
                f"{full.message} The vault still fails: {error.message}", cause=full.cause
            ) from error
    return warnings + check_restore_points(runtime, item, policy, check)


def check_restore_points(
    runtime: Runtime, item: ProtectedItem, policy: Policy, check: Callable[[], None] = lambda: None
) -> tuple[JobError, ...]:
    """Raise RestorePointLimitReached, or ScopeLocked where no point may be added. Returns warnings.

    Counts over all collections of the VM; where the profile says so, it cleans up before; ``check`` may raise
    to stop that.
    """
    makes_room = runtime.settings.profile.makes_room
    warnings = prune.expire(runtime, item, policy, check) if makes_room else ()
    with runtime.catalog.transaction() as tx:
        count = len(points.restore_points_of(tx, item.vm_uuid))
        held = locking.held_points(tx, item.vm_uuid)
        if count < MAX_RESTORE_POINTS:
            locking.refuse_new_point(tx, item, policy)
            return warnings
    lock = next(iter(held.values()), None)
    cause = None
    if lock is not None:
        cause = "C-RG-LOCK"
        reason = f"lock {lock.name} on {lock.scope} stops their clean-up"
    elif makes_room:
        cause = "C-VAULT-BEHIND"
        reason = "none could be cleaned up: no vault holds the oldest yet"
    else:
        reason = "a clean-up of those that have expired starts now; back up again when it has ended"
    raise RestorePointLimitReached(
        f"{item.vm_name} has {count} restore points, and {MAX_RESTORE_POINTS} are the most it can have; "
        f"{reason}.",
        cause=cause,
    )


def _check_space(runtime: Runtime, machine: VirtualMachine) -> None:
    method: CaptureMethod = OverlayCapture(runtime.hypervisor)
    method.check_space(method.plan(machine, uuid4(), None), OVERLAY_RESERVE_BYTES)


def _check_agent(runtime: Runtime, machine: VirtualMachine, policy: Policy) -> Prepared:
    if policy.content.crash_consistent_only:
        return Prepared(freeze=False)
    if not machine.is_active:
        return Prepared(freeze=False)
    profile = runtime.settings.profile
    agent = guest_agents.status_of(runtime, machine)
    if agent.state is AgentState.READY or (agent.state.can_freeze and not profile.needs_agent):
        return Prepared(freeze=True)
    finding = f"The guest agent of {machine.name} is in state {agent.state}: {agent.reason}"
    cause = _cause_in_agent(agent) if machine.agent_channel else "C-NO-CHANNEL"
    if profile.needs_agent:
        message = f"{finding} Support profile {profile.name} requires it to be ready."
        raise GuestAgentUnavailable(message, cause=cause)
    if _is_strict(policy):
        raise GuestAgentUnavailable(
            f"{finding} Policy {policy.name} requires {policy.required_consistency} points.", cause=cause
        )
    if policy.content.extension.without_agent is WithoutAgent.FAIL:
        message = f"{finding} Policy {policy.name} makes no point without it."
        raise GuestAgentUnavailable(message, cause=cause)
    return Prepared(freeze=False, warnings=(JobError(GuestAgentUnavailable.code, finding, cause),))


def _cause_in_agent(agent: AgentStatus) -> str:
    """One that knows how to freeze and may not was told so by its configuration."""
    info = agent.info
    blocked = frozenset() if info is None else (info.known - info.enabled) & FREEZE_COMMANDS
    return "C-AGENT-BLOCKED" if blocked and not agent.frozen else "C-AGENT-STATE"
