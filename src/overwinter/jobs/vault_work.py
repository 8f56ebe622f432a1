"""Jobs on a whole vault: verify it, repair it, copy points out of it, free its space.

Each may be cut off anywhere and runs again from its beginning; what it had done by then it finds done.
"""

from collections.abc import Callable
from uuid import UUID

from overwinter.catalog import jobs as job_table
from overwinter.catalog import points, vaults
from overwinter.jobs import expiry, faults, vault_mending, vault_points
from overwinter.jobs.deletion import open_ruled
from overwinter.jobs.progress import task
from overwinter.jobs.reports import Reports, facts_of_repair, facts_of_verification
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import VaultDataCorrupt
from overwinter.model.job import (
    COPY_POINTS,
    FREE_SPACE,
    REPAIR_VAULT,
    VERIFY_VAULT,
    Job,
    JobError,
    JobOperation,
)
from overwinter.model.protection import Vault
from overwinter.vault import bytes_to_copy, copy_points

#: Problems a job lists; its report has more.
_MOST_PROBLEMS = 50

#: Parameter of a CleanUp that nobody asked for: it frees space only when that is worthwhile.
BY_ITSELF = "by_itself"

#: What a job of each kind consists of.
TASKS = {
    JobOperation.VERIFY: VERIFY_VAULT,
    JobOperation.REPAIR: REPAIR_VAULT,
    JobOperation.COPY: COPY_POINTS,
    JobOperation.CLEAN_UP: FREE_SPACE,
}


def run(runtime: Runtime, job_id: UUID) -> tuple[JobError, ...]:
    """Do a vault's job. Returns warnings; raises when a vault is damaged or the work could not be done."""
    with runtime.catalog.transaction() as tx:
        job = job_table.get(tx, job_id)
        vault = vaults.get_by_id(tx, job.vault_id)
    work: dict[JobOperation, Callable[[Runtime, Job, Vault], tuple[JobError, ...]]] = {
        JobOperation.VERIFY: _verify,
        JobOperation.REPAIR: _repair,
        JobOperation.COPY: _copy,
        JobOperation.CLEAN_UP: _clean_up,
    }
    return work[job.operation](runtime, job, vault)


def _verify(runtime: Runtime, job: Job, vault: Vault) -> tuple[JobError, ...]:
    """Damage that touches something fails the job, so that nobody overlooks it."""
    store = runtime.vaults.open(vault)
    percent = _number(job.parameters["read_percent"])
    point_id = job.parameters["manifest"]
    total = round(store.packed_bytes() * percent / 100) if percent and point_id is None else None
    with task(runtime, job.id, VERIFY_VAULT, total=total) as reporter:
        reporter.check()
        report = store.verify(
            read_percent=percent,
            turn=int(str(job.parameters["turn"])),
            point_id=None if point_id is None else str(point_id),
            progress=reporter.reach,
            cancelled=reporter.check,
        )
        reports = _reports(runtime, vault)
        _publish(runtime, job, reports.of_verification(report), facts_of_verification(report))
    harmful = [damage for damage in report.damages if not damage.harmless]
    if harmful:
        raise VaultDataCorrupt(reports.summary(report))
    return _some([JobError(VaultDataCorrupt.code, reports.sentence(damage)) for damage in report.damages])


def _repair(runtime: Runtime, job: Job, vault: Vault) -> tuple[JobError, ...]:
    with task(runtime, job.id, REPAIR_VAULT) as reporter:
        reporter.check()
        report = vault_mending.repaired(runtime, vault, remove_lost=bool(job.parameters["remove_lost"]))
        reports = _reports(runtime, vault)
        _publish(runtime, job, reports.of_repair(report), facts_of_repair(report))
        faults.place("repair.done")
        store = runtime.vaults.open(vault)
        gone = vault_points.withdraw_gone(runtime, vault, store)
        vault_points.take_in(runtime, vault, store)
    lost = [JobError(VaultDataCorrupt.code, reports.lost_sentence(point)) for point in report.lost_points]
    left = [JobError(VaultDataCorrupt.code, text) for text in report.left]
    damages = [JobError(VaultDataCorrupt.code, reports.sentence(each)) for each in report.verified.damages]
    return _some([*gone, *lost, *left, *damages])


def _copy(runtime: Runtime, job: Job, vault: Vault) -> tuple[JobError, ...]:
    with runtime.catalog.transaction() as tx:
        target_vault = vaults.get_by_id(tx, UUID(str(job.parameters["target"])))
    source, target = runtime.vaults.open(vault), runtime.vaults.open(target_vault)
    wanted = job.parameters["manifests"]
    point_ids = None if wanted is None else str(wanted).split(",")
    total = bytes_to_copy(source, target, point_ids)
    with task(runtime, job.id, COPY_POINTS, total=total) as reporter:
        reporter.check()
        done = copy_points(source, target, point_ids, progress=reporter.reach, cancelled=reporter.check)
        faults.place("copy.done")
        vault_points.take_in(runtime, target_vault, target)
    facts: dict[str, object] = dict(vars(done))
    with runtime.catalog.transaction() as tx:
        job_table.set_properties(tx, job.id, facts)
    return ()


def _clean_up(runtime: Runtime, job: Job, vault: Vault) -> tuple[JobError, ...]:
    store = open_ruled(runtime, vault)
    with task(runtime, job.id, FREE_SPACE) as reporter:
        reporter.check()
        collect = not job.parameters.get(BY_ITSELF)
        facts = expiry.run(runtime, vault, store, reporter.check, collect=collect)
    with runtime.catalog.transaction() as tx:
        job_table.set_properties(tx, job.id, facts)
    return ()


def _publish(runtime: Runtime, job: Job, report: dict[str, object], facts: dict[str, object]) -> None:
    with runtime.catalog.transaction() as tx:
        job_table.set_report(tx, job.id, report)
        job_table.set_properties(tx, job.id, facts)


def _reports(runtime: Runtime, vault: Vault) -> Reports:
    with runtime.catalog.transaction() as tx:
        return Reports(points.ids_by_manifest(tx, vault.id))


def _number(value: object) -> float:
    return float(str(value))


def _some(problems: list[JobError]) -> tuple[JobError, ...]:
    if len(problems) <= _MOST_PROBLEMS:
        return tuple(problems)
    rest = f"There are {len(problems) - _MOST_PROBLEMS} more; the job's report lists them."
    return (*problems[:_MOST_PROBLEMS], JobError(VaultDataCorrupt.code, rest))
