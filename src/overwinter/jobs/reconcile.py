"""What a crash left behind is put right before the first job runs again.

Today that is the one thing that hurts a guest while it waits: being frozen. Half-taken snapshots, unfinished
merges and half-written restores are finished by the jobs themselves, which run again (see their modules).
"""

import structlog

from overwinter.catalog import captures
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor import inventory
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.window import THAW_TIMEOUT_S
from overwinter.model.errors import OverwinterError

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
