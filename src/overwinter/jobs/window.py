"""The freeze window: freeze, snapshot, thaw as bounded calls, and what consistency they earned.

The extension in the guest does it where it can run; it is installed, repaired or renewed on the way. Else the
guest agent's own freeze does. No path out of the window leaves the guest frozen: a guard process, started
before the freeze, thaws by itself when this process dies or the hard stop passes; the thaw here is repeated
until the guest confirms it; the extension thaws when its processes, the host or the time fail it.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import structlog

from overwinter.guest.agent import GuestAgent
from overwinter.guest.freeze_session import FreezeSession, begin_session
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import freeze_by_agent, freeze_by_extension
from overwinter.jobs.freezing import WindowResult, crash_consistent
from overwinter.model.errors import (
    ExtensionFailed,
    ExtensionUnavailable,
    FreezeFailed,
    GuestAgentUnavailable,
    GuestCommandFailed,
    JobCancelled,
    OverwinterError,
    ScriptFailed,
)
from overwinter.model.job import JobError

log = structlog.get_logger(__name__)


def run(
    hypervisor: Hypervisor,
    vm_uuid: UUID,
    snapshot: Callable[[], None],
    check: Callable[[], None] = lambda: None,
) -> WindowResult:
    """Freeze the guest, take the snapshot, thaw.

    A guest that cannot be frozen still gets its snapshot: crash-consistent, with a warning that says so.
    ``check`` raises JobCancelled to stop; it is called while scripts run in the guest, never while it is
    frozen.

    Raises what ``snapshot`` raises; ScriptFailed before the snapshot, when the guest wants no backup after a
    script that failed; ThawUnconfirmed, and the guard goes on thawing then.
    """
    try:
        session = _ready_session(GuestAgent(hypervisor, vm_uuid), check)
    except ExtensionUnavailable as error:
        return freeze_by_agent.run(hypervisor, vm_uuid, snapshot, reason=error.message)
    except GuestAgentUnavailable as error:
        result = freeze_by_agent.run(hypervisor, vm_uuid, snapshot, reason=error.message)
        # An agent that stays silent is told of already.
        return result if result.warnings else _without_extension(result, error)
    except FreezeFailed as error:
        # The agent would hang in the same place, and with it the only way to thaw.
        message = f"The guest was not frozen: {error.message}."
        return crash_consistent(snapshot, JobError(error.code, message, error.cause))
    except (ExtensionFailed, GuestCommandFailed) as error:
        log.warning("frozen by the agent, not the extension", vm=str(vm_uuid), reason=error.message)
        result = freeze_by_agent.run(hypervisor, vm_uuid, snapshot, reason=error.message)
        return _without_extension(result, error)
    return freeze_by_extension.run(hypervisor, vm_uuid, session, snapshot, check)


def _without_extension(result: WindowResult, error: OverwinterError) -> WindowResult:
    """The result with the warning that the extension should have frozen the guest."""
    warning = JobError(ExtensionFailed.code, error.message, error.cause)
    return replace(result, warnings=(warning, *result.warnings))


def _ready_session(agent: GuestAgent, check: Callable[[], None]) -> FreezeSession:
    session = begin_session(agent)
    try:
        session.wait_ready(check)
    except (ExtensionFailed, FreezeFailed, ScriptFailed, JobCancelled):
        session.give_up()
        session.close()
        raise
    return session
