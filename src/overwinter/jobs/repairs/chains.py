"""Repairs of a VM's disk chains: block jobs left behind, a definition that lags behind, overlays left over.

None of them changes what the guest reads from its disks, or deletes a point before it expires.
"""

from overwinter.catalog import merges, points, policies
from overwinter.hypervisor import persistent, stale_job
from overwinter.jobs import merging, prune
from overwinter.jobs.repairs.repair import Case, Repair

#: A block job that has not moved for so many seconds was left behind.
STALE_S = 20.0


def _stale_block_job(case: Case) -> str | None:
    with case.runtime.catalog.transaction() as tx:
        ours = {merge.target for merge in merges.of_machine(tx, case.item.vm_uuid)}
    left = stale_job.stale_jobs(case.runtime.hypervisor, case.item.vm_uuid, STALE_S)
    foreign = [target for target in left if target not in ours]
    return f"A block job on disk {', '.join(foreign)} stands still." if foreign else None


def _end_block_jobs(case: Case) -> None:
    """Nothing to undo: the disk stays as it was. Whoever made the job begins it again."""
    for target in stale_job.stale_jobs(case.runtime.hypervisor, case.item.vm_uuid, patience_s=0):
        stale_job.end(case.runtime.hypervisor, case.item.vm_uuid, target)


def _outdated_definition(case: Case) -> str | None:
    outdated = persistent.outdated_disks(case.runtime.hypervisor, case.item.vm_uuid)
    if not outdated:
        return None
    named = ", ".join(f"{image} for disk {target}" for target, image in sorted(outdated.items()))
    return f"The VM's definition names {named}, below the overlays in use: its next start would destroy them."


def _adopt_overlays(case: Case) -> None:
    """Must not be undone: with the other definition the VM's next start would destroy its disk."""
    outdated = persistent.outdated_disks(case.runtime.hypervisor, case.item.vm_uuid)
    for target, image in outdated.items():
        persistent.adopt_running_image(case.runtime.hypervisor, case.item.vm_uuid, target, image)


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
    """Cannot be undone, and need not be: what goes has expired by the policy, and every backup does it."""
    with case.runtime.catalog.transaction() as tx:
        policy = policies.get_by_id(tx, case.item.policy_id)
    prune.expire(case.runtime, case.item, policy, case.check)


REPAIRS = (
    Repair(
        "block-job-abort",
        action="End the block job, without a pivot.",
        touches="The program that began it finds it cancelled. The disk stays as it is.",
        finding=_stale_block_job,
        act=_end_block_jobs,
    ),
    Repair(
        "overlay-adopt",
        action="Let the VM's definition name the images that it runs on.",
        touches="The VM starts from its present disks next time. It runs on.",
        finding=_outdated_definition,
        act=_adopt_overlays,
    ),
)

#: The last of all repairs: a merge must find neither a block job nor a wrong definition.
CLEAN_UP = Repair(
    "clean-up",
    action="Remove the restore points that have expired, and merge the overlays that nobody needs.",
    touches="The VM's disks are busier for as long as that takes.",
    finding=_overdue_clean_up,
    act=_clean_up,
)
