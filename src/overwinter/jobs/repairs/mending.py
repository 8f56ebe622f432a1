"""All repairs in their order: what could be mended, and mending it in a job that tells of it."""

from collections.abc import Callable, Iterator
from uuid import UUID

import structlog

from overwinter.catalog import items, policies
from overwinter.catalog import jobs as job_table
from overwinter.jobs.progress import task
from overwinter.jobs.repairs import chains, guest, vault, vm
from overwinter.jobs.repairs.repair import Case, Finding, Mended, Repair
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import GuestAgentUnavailable, GuestCommandFailed, NotFound, OverwinterError
from overwinter.model.job import REPAIR_MACHINE, JobError

log = structlog.get_logger(__name__)

#: In the order to try them: a VM must run before its agent is asked, a job must end before a merge begins.
REPAIRS = (*vm.REPAIRS, *guest.REPAIRS, *chains.REPAIRS, *vault.REPAIRS, chains.CLEAN_UP)

#: In the report of a backup: whether it was tried once more because something was mended.
TRIED_AGAIN = "tried_again"


def plan(case: Case) -> list[Finding]:
    """What could be mended now; changes nothing. Raises NotFound when the VM does not exist.

    What lies behind an agent that does not answer shows only after that was mended.
    """
    found: list[Finding] = []
    for repair in REPAIRS:
        if repair.needs_agent and any(each.repair == guest.AGENT_START.id for each in found):
            continue
        finding = _look(repair, case)
        if finding is not None:
            found.append(Finding(repair.id, finding, repair.action, repair.touches))
    return found


def mend(case: Case, *, unasked: bool = False) -> Iterator[Mended]:
    """Look for everything that can be mended, and mend it, one after the other. Raises JobCancelled.

    With ``unasked`` only what is safe with nobody looking on.
    """
    has_agent = True
    for repair in REPAIRS:
        case.check()
        if (unasked and not repair.unasked) or (repair.needs_agent and not has_agent):
            continue
        finding = _look(repair, case)
        if finding is None:
            continue
        failure = _act(repair, case)
        has_agent = has_agent and (repair is not guest.AGENT_START or failure is None)
        yield Mended(repair.id, finding, repair.action, failure)


def _look(repair: Repair, case: Case) -> str | None:
    """What there is to mend. A guest that does not let itself be looked into has nothing that could be."""
    try:
        return repair.finding(case)
    except (GuestAgentUnavailable, GuestCommandFailed) as error:
        log.info("not looked into", repair=repair.id, vm=case.item.vm_name, reason=error.message)
        return None


def _act(repair: Repair, case: Case) -> str | None:
    """Why it did not work; null when it did."""
    try:
        repair.act(case)
        left = repair.finding(case)
    except OverwinterError as error:
        return error.message
    return left


def after_failure(runtime: Runtime, job_id: UUID, check: Callable[[], None]) -> bool:
    """After a scheduled backup failed: mend what is safe to mend unasked, where its policy wants that.

    Whether something was mended, so that another try is worth it. What was done stands in the job's report.
    """
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
        if item is None or not job.is_scheduled:
            return False
        if not policies.get_by_id(tx, item.policy_id).content.extension.automatic_repair:
            return False
    done = _mend_and_tell(job_id, Case(runtime, item, check), unasked=True)
    is_worth_it = any(each.failure is None for each in done)
    if is_worth_it:
        _tell(runtime, job_id, done, {TRIED_AGAIN: True})
    return is_worth_it


def on_request(runtime: Runtime, job_id: UUID) -> tuple[JobError, ...]:
    """The job of its own. Returns what could not be mended."""
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        item = None if job.item_id is None else items.find_by_id(tx, job.item_id)
    if item is None:
        raise NotFound(f"{job.vm_name} is no item any more.")
    with task(runtime, job_id, REPAIR_MACHINE) as reporter:
        done = _mend_and_tell(job_id, Case(runtime, item, reporter.check), unasked=False)
    return tuple(
        JobError("RepairFailed", f"{each.finding} Repair {each.repair} did not help: {each.failure}")
        for each in done
        if each.failure is not None
    )


def _mend_and_tell(job_id: UUID, case: Case, *, unasked: bool) -> list[Mended]:
    done = []
    for each in mend(case, unasked=unasked):
        done.append(each)
        log.warning("repaired", vm=case.item.vm_name, **vars(each))
        _tell(case.runtime, job_id, done, {})
    return done


def _tell(runtime: Runtime, job_id: UUID, done: list[Mended], more: dict[str, object]) -> None:
    report: dict[str, object] = {"repairs": [vars(mended) for mended in done], **more}
    with runtime.catalog.transaction() as tx:
        job_table.set_report(tx, job_id, report)
