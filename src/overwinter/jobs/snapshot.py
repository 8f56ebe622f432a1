"""The task "Take Snapshot": from a running or stopped VM to a restore point in the catalog.

Order of writes, so that a crash between any two leaves nothing wrong:

1. the capture note (what is about to happen) is committed to the catalog
2. the window: freeze, snapshot, thaw
3. one transaction: restore point and recovery point in, capture note out

Notes of earlier jobs are accounted for before step 1. A crash before the snapshot of step 2 leaves a note
whose overlays no domain uses, and that were never in use (`images/untouched.py`): it is discarded. A crash
after it leaves a note whose overlays the domain uses: the snapshot is real and becomes a crash-consistent
point, because nobody can say any more whether the guest was still frozen when it was taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from overwinter.catalog import captures, collections, items, points
from overwinter.catalog import jobs as job_table
from overwinter.catalog.captures import Capture
from overwinter.catalog.database import Transaction
from overwinter.catalog.points import MachineState
from overwinter.hypervisor import inventory
from overwinter.hypervisor.capture import OVERLAY_RESERVE_BYTES, CapturePlan
from overwinter.hypervisor.capture import Capture as CaptureMethod
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.hypervisor.state import VmState, read_state
from overwinter.jobs import faults, point_expiry, requirement, window
from overwinter.jobs.freezing import WindowResult
from overwinter.jobs.preflight import Prepared, item_and_policy
from overwinter.jobs.progress import task
from overwinter.jobs.reconcile import settle
from overwinter.jobs.runtime import Runtime
from overwinter.model import names
from overwinter.model.collection import collection_for, group_naming
from overwinter.model.errors import ChainUnexpected, FreezeFailed, OverwinterError
from overwinter.model.job import TAKE_SNAPSHOT, JobError
from overwinter.model.point import Consistency, RecoveryPoint, RestorePoint, RestorePointCollection
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem

log = structlog.get_logger(__name__)

#: Key of a job's properties under which the restore point it made is noted.
RESTORE_POINT = "restore_point"

#: And the recovery point, unless the policy or the guest wants better ones.
RECOVERY_POINT = "recovery_point"

#: And what went wrong with the guest's scripts, if that is why it wants none.
_REFUSAL = "refusal"


@dataclass(frozen=True)
class Snapshot:
    """A restore point that exists, and what was not perfect about it."""

    restore_point: UUID
    warnings: tuple[JobError, ...]


def take(runtime: Runtime, job_id: UUID, prepared: Prepared) -> Snapshot:
    """Take the snapshot, or find the one that this job took before a crash."""
    item, policy = item_and_policy(runtime, job_id)
    with runtime.catalog.transaction() as tx:
        noted = job_table.get(tx, job_id).properties
        capture = captures.of_job(tx, job_id)
    if noted.get(RESTORE_POINT) is not None:
        if noted.get(RECOVERY_POINT) is None:
            raise requirement.noted(noted.get(_REFUSAL))
        return Snapshot(UUID(str(noted[RESTORE_POINT])), prepared.warnings)
    method: CaptureMethod = OverlayCapture(runtime.hypervisor)
    with task(runtime, job_id, TAKE_SNAPSHOT) as reporter:
        # What a crash left is put right first, whether the job goes on or was cancelled meanwhile.
        if capture is not None and (interrupted := _after_crash(runtime, method, capture)) is not None:
            state = read_state(runtime.hypervisor, item.vm_uuid)
            return _record(runtime, job_id, item, policy, capture, state, interrupted, prepared)
        reporter.check()
        with runtime.catalog.transaction() as tx:
            left = captures.of_machine(tx, item.vm_uuid)
        for earlier in left:
            # A VM that writes to overlays that libvirt does not know must not get more of them.
            settle(runtime, earlier)
        machine = item.disks.applied(inventory.machine(runtime.hypervisor, item.vm_uuid))
        machine.require_readable_disks()
        plan = method.plan(machine, uuid4(), None)
        capture = Capture(plan.point_id, job_id, machine.uuid, machine.name, runtime.clock(), plan.disks)
        with runtime.catalog.transaction() as tx:
            captures.insert(tx, capture)
        faults.place("snapshot.noted")
        result, state = _capture(runtime, method, plan, capture, reporter.check, freeze=prepared.freeze)
        faults.place("snapshot.taken")
        return _record(runtime, job_id, item, policy, capture, state, result, prepared)


def _after_crash(runtime: Runtime, method: CaptureMethod, capture: Capture) -> WindowResult | None:
    """What became of an interrupted capture; None when no snapshot was taken and all traces are gone."""
    plan = CapturePlan(capture.vm_uuid, capture.id, capture.disks, excluded=())
    if method.was_taken(plan):
        message = "The service was interrupted while it took the snapshot, so the point is crash-consistent."
        return WindowResult(Consistency.CRASH, None, (JobError(FreezeFailed.code, message),))
    _forget(runtime, method, plan)
    return None


def _forget(runtime: Runtime, method: CaptureMethod, plan: CapturePlan) -> None:
    method.discard(plan)
    with runtime.catalog.transaction() as tx:
        captures.delete(tx, plan.point_id)


def _capture(
    runtime: Runtime,
    method: CaptureMethod,
    plan: CapturePlan,
    capture: Capture,
    check: Callable[[], None],
    *,
    freeze: bool,
) -> tuple[WindowResult, VmState]:
    """Prepare, freeze, take, thaw. Raises only when no snapshot was taken and nothing is left of it."""
    states: list[VmState] = []

    def snapshot() -> None:
        method.take(plan)
        states.append(read_state(runtime.hypervisor, capture.vm_uuid))

    try:
        method.prepare(plan, OVERLAY_RESERVE_BYTES)
        if freeze:
            result = window.run(runtime.hypervisor, capture.vm_uuid, snapshot, check)
        else:
            snapshot()
            result = WindowResult(Consistency.CRASH, None)
    except OverwinterError as error:
        if not method.was_taken(plan):
            try:
                _forget(runtime, method, plan)
            except ChainUnexpected:
                raise
            except OverwinterError as left:  # its note stays: `reconcile` tries again
                log.error("traces of a failed snapshot stay", vm=capture.vm_name, reason=left.message)
            raise
        # The VM writes to the overlays: the point exists, whatever went wrong around it.
        result = WindowResult(Consistency.CRASH, None, (JobError.of(error),))
    return result, states[0] if states else read_state(runtime.hypervisor, capture.vm_uuid)


def _collection(tx: Transaction, item: ProtectedItem, policy: Policy) -> RestorePointCollection:
    """The collection for the point, made when it does not exist yet."""
    existing = collections.every(tx)
    naming = group_naming(policy.content, names.LOCATION)
    collection = collection_for(item.vm_uuid, item.vm_name, naming, existing, uuid4())
    if collection not in existing:
        collections.insert(tx, collection)
    return collection


def _record(
    runtime: Runtime,
    job_id: UUID,
    item: ProtectedItem,
    policy: Policy,
    capture: Capture,
    state: VmState,
    result: WindowResult,
    prepared: Prepared,
) -> Snapshot:
    """One transaction makes the point exist.

    It is not offered for restore when it is below the policy's level, or the guest wants none like it.
    """
    warnings = prepared.warnings + result.warnings
    refusal = requirement.refusal(policy, result.consistency, warnings, result.freeze)
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
    recovery_point = RecoveryPoint(
        id=names.recovery_point_id(capture.created),
        item_id=item.id,
        created=capture.created,
        consistency=result.consistency,
        expires=point_expiry.asked_expiry(job, capture.created),
        restore_point=capture.id,
        manifest=None,
        freeze_ms=result.freeze_ms,
        warnings=tuple(warning.message for warning in warnings),
        scheduled=point_expiry.scheduled_for(job),
        freeze=result.freeze,
    )
    with runtime.catalog.transaction() as tx:
        collection = _collection(tx, item, policy)
        restore_point = RestorePoint(
            id=capture.id,
            collection_id=collection.id,
            name=names.restore_point_name(capture.created),
            created=capture.created,
            consistency=result.consistency,
            freeze_ms=result.freeze_ms,
            disks=capture.disks,
        )
        points.insert_restore_point(tx, restore_point, MachineState(state.xml, state.nvram))
        captures.delete(tx, capture.id)
        shown: dict[str, object] = {
            RESTORE_POINT: str(capture.id),
            "consistency": result.consistency,
            "freeze_ms": result.freeze_ms,
        }
        if refusal is None:
            points.put_recovery_point(tx, recovery_point)
            point_expiry.apply(tx, item.id, policy.content)
            items.record_backup(
                tx, item.id, started=capture.created, status="InProgress", point=capture.created
            )
            shown[RECOVERY_POINT] = recovery_point.id
        else:
            shown[_REFUSAL] = requirement.note(refusal)
        job_table.set_properties(tx, job_id, shown)
    if refusal is not None:
        raise refusal
    return Snapshot(capture.id, warnings)
