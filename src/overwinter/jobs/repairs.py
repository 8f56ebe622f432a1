"""What a machine may mend of a VM and its disk chains, with nobody looking on.

Each repair looks first whether there is something to mend and whether mending it is safe, then acts, then
looks again. None of them deletes a point before it expires, touches a lock, or changes what a guest reads
from its disks, so none needs to be undone.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from overwinter.catalog import items, merges, points, policies
from overwinter.catalog import jobs as job_table
from overwinter.guest.agent import GuestAgent
from overwinter.guest.thaw import ensure_thawed, is_off
from overwinter.hypervisor import agent_channel, inventory, persistent, power, stale_job
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import merging, prune, vault_mending
from overwinter.jobs.freezing import THAW_TIMEOUT_S
from overwinter.jobs.preflight import OVERLAY_RESERVE_BYTES
from overwinter.jobs.progress import task
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import (
    GuestAgentUnavailable,
    GuestCommandFailed,
    NotFound,
    OverlaySpaceLow,
    OverwinterError,
)
from overwinter.model.job import REPAIR_MACHINE, JobError
from overwinter.model.protection import ProtectedItem
from overwinter.model.vm import PowerState

log = structlog.get_logger(__name__)

#: A block job that has not moved for so many seconds was left behind.
STALE_S = 20.0

#: A VM that runs for so many seconds after it was resumed does not pause at its next write.
_RUNS_ON_S = 3.0

#: Seconds for the guest to start its agent when the agent's channel has come.
_AGENT_START_S = 20.0


@dataclass(frozen=True)
class Case:
    """A VM to look after; ``check`` raises JobCancelled when a person asked to stop."""

    runtime: Runtime
    item: ProtectedItem
    check: Callable[[], None]


@dataclass(frozen=True)
class Repair:
    """One thing that can be mended; its id is that of the code book's remedies.

    ``finding`` says what is wrong, in a sentence; null when nothing is, or when it cannot be mended now.
    """

    id: str
    finding: Callable[[Case], str | None]
    act: Callable[[Case], None]


@dataclass(frozen=True)
class Finding:
    """Something that can be mended, before it is."""

    repair: str
    finding: str


@dataclass(frozen=True)
class Mended:
    """What a repair found, and why it did not work; null when it did."""

    repair: str
    finding: str
    failure: str | None


def plan(case: Case) -> list[Finding]:
    """What could be mended now; changes nothing. Raises NotFound when the VM does not exist."""
    found = ((repair.id, repair.finding(case)) for repair in REPAIRS)
    return [Finding(name, finding) for name, finding in found if finding is not None]


def mend(case: Case) -> Iterator[Mended]:
    """Look for everything that can be mended, and mend it, one after the other. Raises JobCancelled."""
    for repair in REPAIRS:
        case.check()
        finding = repair.finding(case)
        if finding is not None:
            yield Mended(repair.id, finding, _act(repair, case))


def _act(repair: Repair, case: Case) -> str | None:
    """Why it did not work; null when it did."""
    try:
        repair.act(case)
        left = repair.finding(case)
    except OverwinterError as error:
        return error.message
    return left


def after_failure(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> bool:
    """After a scheduled backup failed: mend what can be mended, where its policy wants that.

    Whether something was mended, so that another try is worth it. What was done stands in the job's report.
    """
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        if item is None or not job.is_scheduled:
            return False
        if not policies.get_by_id(tx, item.policy_id).content.extension.automatic_repair:
            return False
    return any(each.failure is None for each in _mend_and_tell(job_id, Case(runtime, item, check)))


def on_request(runtime: Runtime, job_id: UUID) -> tuple[JobError, ...]:
    """The job of its own. Returns what could not be mended."""
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
    if item is None:
        raise NotFound(f"{job.vm_name} is no item any more.")
    with task(runtime, job_id, REPAIR_MACHINE) as reporter:
        done = _mend_and_tell(job_id, Case(runtime, item, reporter.check))
    return tuple(
        JobError("RepairFailed", f"{each.finding} Repair {each.repair} did not help: {each.failure}")
        for each in done
        if each.failure is not None
    )


def _mend_and_tell(job_id: UUID, case: Case) -> list[Mended]:
    done = []
    for each in mend(case):
        done.append(each)
        log.warning("repaired", vm=case.item.vm_name, **vars(each))
        with case.runtime.catalog.transaction() as tx:
            job_table.set_report(tx, job_id, {"repairs": [vars(mended) for mended in done]})
    return done


# --- the repairs ------------------------------------------------------------------------------------------


def _frozen(case: Case) -> str | None:
    if is_off(case.runtime.hypervisor, case.item.vm_uuid):
        return None
    try:
        frozen = GuestAgent(case.runtime.hypervisor, case.item.vm_uuid).frozen()
    except (GuestAgentUnavailable, GuestCommandFailed):
        return None  # an agent that does not answer cannot thaw either
    return "The guest's file systems are frozen, though no backup holds them." if frozen else None


def _thaw(case: Case) -> None:
    ensure_thawed(case.runtime.hypervisor, case.item.vm_uuid, THAW_TIMEOUT_S)


def _paused_by_full_disk(case: Case) -> str | None:
    """Only once there is room for what the guest writes next; any other failure is for a person."""
    machine = inventory.machine(case.runtime.hypervisor, case.item.vm_uuid)
    if machine.state is not PowerState.PAUSED or not machine.out_of_space:
        return None
    method = OverlayCapture(case.runtime.hypervisor)
    try:
        method.check_space(method.plan(machine, uuid4(), None), OVERLAY_RESERVE_BYTES)
    except OverlaySpaceLow:
        return None
    return f"The VM is paused: {machine.failure}; there is room again."


def _resume(case: Case) -> None:
    power.resume(case.runtime.hypervisor, case.item.vm_uuid)
    until = time.monotonic() + _RUNS_ON_S
    while time.monotonic() < until and _paused_by_full_disk(case) is None:
        time.sleep(0.5)


def _stale_block_job(case: Case) -> str | None:
    with case.runtime.catalog.transaction() as tx:
        ours = {merge.target for merge in merges.of_machine(tx, case.item.vm_uuid)}
    left = stale_job.stale_jobs(case.runtime.hypervisor, case.item.vm_uuid, STALE_S)
    foreign = [target for target in left if target not in ours]
    return f"A block job on disk {', '.join(foreign)} stands still." if foreign else None


def _end_block_jobs(case: Case) -> None:
    for target in stale_job.stale_jobs(case.runtime.hypervisor, case.item.vm_uuid, patience_s=0):
        stale_job.end(case.runtime.hypervisor, case.item.vm_uuid, target)


def _overdue_clean_up(case: Case) -> str | None:
    """Expired points alone are no finding while there is room: the next backup removes them."""
    if merging.is_due(case.runtime, case.item.vm_uuid):
        return "Overlays that no restore point needs are still in the VM's chain."
    with case.runtime.catalog.transaction() as tx:
        policy = policies.get_by_id(tx, case.item.policy_id)
        count = len(points.restore_points_of(tx, case.item.vm_uuid))
        doomed, _ = prune.removable(tx, case.runtime, case.item, policy)
    if count < prune.NEAR_THE_LIMIT or not doomed:
        return None
    return f"{len(doomed)} of the VM's {count} restore points have expired and were not cleaned up."


def _clean_up(case: Case) -> None:
    with case.runtime.catalog.transaction() as tx:
        policy = policies.get_by_id(tx, case.item.policy_id)
    prune.expire(case.runtime, case.item, policy, case.check)


def _outdated_definition(case: Case) -> str | None:
    outdated = persistent.outdated_disks(case.runtime.hypervisor, case.item.vm_uuid)
    if not outdated:
        return None
    named = ", ".join(f"{image} for disk {target}" for target, image in sorted(outdated.items()))
    return f"The VM's definition names {named}, below the overlays in use: its next start would destroy them."


def _adopt_overlays(case: Case) -> None:
    outdated = persistent.outdated_disks(case.runtime.hypervisor, case.item.vm_uuid)
    for target, image in outdated.items():
        persistent.adopt_running_image(case.runtime.hypervisor, case.item.vm_uuid, target, image)


def _no_channel(case: Case) -> str | None:
    """Only where the policy wants the agent at all."""
    with case.runtime.catalog.transaction() as tx:
        if policies.get_by_id(tx, case.item.policy_id).content.crash_consistent_only:
            return None
    if not agent_channel.can_be_added(case.runtime.hypervisor, case.item.vm_uuid):
        return None
    return "The VM's definition has no channel for the guest agent."


def _add_channel(case: Case) -> None:
    agent_channel.add(case.runtime.hypervisor, case.item.vm_uuid)
    if not is_off(case.runtime.hypervisor, case.item.vm_uuid):
        agent_channel.wait_connected(case.runtime.hypervisor, case.item.vm_uuid, _AGENT_START_S)


def _damaged_vault(case: Case) -> str | None:
    return vault_mending.finding(case.runtime, case.item.vault_id)


def _rebuild_index(case: Case) -> None:
    vault_mending.rebuild(case.runtime, case.item.vault_id)


#: In the order to try them: a VM must run before its agent is asked, a job must end before a merge begins.
REPAIRS = (
    Repair("vm-resume", _paused_by_full_disk, _resume),
    Repair("agent-channel", _no_channel, _add_channel),
    Repair("thaw", _frozen, _thaw),
    Repair("block-job-abort", _stale_block_job, _end_block_jobs),
    Repair("overlay-adopt", _outdated_definition, _adopt_overlays),
    Repair("index-rebuild", _damaged_vault, _rebuild_index),
    Repair("clean-up", _overdue_clean_up, _clean_up),
)
