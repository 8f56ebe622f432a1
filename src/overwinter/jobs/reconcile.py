"""What a crash left behind is put right at the service's start, and each repair is logged.

Here is what no job would come back to, and a frozen guest, which cannot wait for one. Everything else is
finished by the jobs themselves, which run again (see their modules).
"""

from uuid import UUID

import structlog

from overwinter.catalog import captures
from overwinter.catalog import jobs as job_table
from overwinter.catalog.captures import Capture
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor import inventory
from overwinter.hypervisor.capture import CapturePlan
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs.freezing import THAW_TIMEOUT_S
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import NotFound, OverwinterError

log = structlog.get_logger(__name__)


def thaw_interrupted(runtime: Runtime) -> None:
    """Thaw every guest in whose freeze window the service ended."""
    with runtime.catalog.transaction() as tx:
        open_captures = captures.every(tx)
    for capture in open_captures:
        try:
            machine = inventory.machine(runtime.hypervisor, capture.vm_uuid)
            if machine.is_active and machine.agent_channel:
                ensure_thawed(runtime.hypervisor, machine.uuid, THAW_TIMEOUT_S)
                log.warning("guest thawed after an interrupted snapshot", vm=capture.vm_name)
        except OverwinterError as error:
            log.error("guest could not be thawed", vm=capture.vm_name, code=error.code, reason=error.message)


def settle_captures(runtime: Runtime, told: dict[UUID, str] | None = None) -> None:
    """Forget the notes of snapshots whose jobs have ended, and remove overlays that were made and not used.

    An overlay that is in use is in the VM's chain, and the next clean-up merges it: no point needs it. VMs
    with a job under way are left to it. ``told`` keeps what could not be settled from look to look, and why,
    so that it is logged once.
    """
    told = {} if told is None else told
    with runtime.catalog.transaction() as tx:
        busy = {job.vm_uuid for job in job_table.active(tx)}
        left = [capture for capture in captures.every(tx) if capture.vm_uuid not in busy]
    for capture in left:
        try:
            settle(runtime, capture)
        except OverwinterError as error:
            if told.get(capture.id) != error.message:
                told[capture.id] = error.message
                log.error("snapshot not settled", vm=capture.vm_name, code=error.code, reason=error.message)


def settle(runtime: Runtime, capture: Capture) -> None:
    """Account for a snapshot whose job has ended. Raises ChainUnexpected when that needs a person."""
    method = OverlayCapture(runtime.hypervisor)
    plan = CapturePlan(capture.vm_uuid, capture.id, capture.disks, excluded=())
    try:
        taken = method.was_taken(plan)
    except NotFound:
        taken = False  # the VM is no more
    if not taken:
        method.discard(plan)
    with runtime.catalog.transaction() as tx:
        captures.delete(tx, capture.id)
    event = "overlay without a point left to clean-up" if taken else "unused overlays removed"
    log.warning(event, vm=capture.vm_name, overlays=[disk.overlay for disk in capture.disks])
