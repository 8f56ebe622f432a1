"""The durable workflows and the queue they wait in.

A workflow's id is its job's id. Its steps are recorded by DBOS as they end, so a workflow that was cut off
runs again from the step it was in; every step is written to be run twice. One queue per host, partitioned by
VM with one workflow at a time: jobs of one VM never overlap, nor do those on one vault as a whole.

A job always ends: expected errors become its code, unexpected ones ``BackUpOperationFailed`` with the
traceback in the log.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog
from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance, SetEnqueueOptions, SetWorkflowID

from overwinter.catalog import items, points
from overwinter.catalog import jobs as job_table
from overwinter.jobs import (
    clean_up,
    deletion,
    explaining,
    preflight,
    protection,
    prune,
    repairs,
    restore,
    retry,
    shield,
    snapshot,
    transfer,
    vault_work,
)
from overwinter.jobs.again import lasting, unending
from overwinter.jobs.explaining import Explain
from overwinter.jobs.faults import place
from overwinter.jobs.preflight import Prepared
from overwinter.jobs.progress import TaskReporter
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.snapshot import Snapshot
from overwinter.model.errors import JobCancelled, OverwinterError, RestorePointLimitReached
from overwinter.model.job import PENDING, Job, JobError, JobOperation, JobStatus

log = structlog.get_logger(__name__)

#: Workflows of another version of their code would never be picked up again, so this changes only when a
#: running workflow cannot be continued by the new code.
WORKFLOW_VERSION = "1"

POLLING_S = 0.2

#: What DBOS says of a workflow that it will carry on.
_GOES_ON = ("PENDING", "ENQUEUED", "DELAYED")


@dataclass
class _Outcome:
    """How a job is going: its problems so far, and its end when it did not complete."""

    warnings: list[JobError] = field(default_factory=list)
    error: JobError | None = None
    cancelled: bool = False

    @property
    def status(self) -> JobStatus:
        if self.cancelled:
            return JobStatus.CANCELLED
        if self.error is not None:
            return JobStatus.FAILED
        return JobStatus.COMPLETED_WITH_WARNINGS if self.warnings else JobStatus.COMPLETED


@contextmanager
def _judging(outcome: _Outcome) -> Iterator[None]:
    """Turn what a step raises into the job's outcome."""
    try:
        yield
    except JobCancelled:
        outcome.cancelled = True
    except OverwinterError as error:
        outcome.error = JobError.of(error)
    except Exception as error:
        log.exception("unexpected error in a job")
        message = f"Unexpected {type(error).__name__}: {error}. The service's log has the details."
        outcome.error = JobError(OverwinterError.code, message)


@DBOS.dbos_class()
class JobEngine(DBOSConfiguredInstance):
    """The workflows of one host. Make one before ``DBOS.launch``: recovery finds it by the host's name."""

    def __init__(self, runtime: Runtime, explain: Explain | None) -> None:
        super().__init__(runtime.settings.host)
        self._runtime = runtime
        self._explain = explain
        self._queue = f"host:{runtime.settings.host}"
        self._workflows: dict[JobOperation, Callable[[str], None]] = {
            JobOperation.BACKUP: self.backup,
            JobOperation.RESTORE: self.restore,
            JobOperation.CONFIGURE_BACKUP: self.configure_backup,
            JobOperation.DISABLE_BACKUP: self.stop_protection,
            JobOperation.DELETE_BACKUP_DATA: self.delete_backup_data,
            JobOperation.CLEAN_UP_POINTS: self.clean_up_points,
            JobOperation.DELETE_POINTS: self.clean_up_points,
            JobOperation.UNDELETE: self.undelete,
            JobOperation.REPAIR_MACHINE: self.repair_machine,
            **dict.fromkeys(vault_work.TASKS, self.work_on_vault),
        }

    def launch(self) -> None:
        """Start working: cut-off workflows go on, and jobs that never got a workflow get one."""
        DBOS.launch()
        DBOS.register_queue(self._queue, partition_concurrency=1, polling_interval_sec=POLLING_S)
        with self._runtime.catalog.transaction() as tx:
            active = job_table.active(tx)
        for job in active:
            status = DBOS.get_workflow_status(str(job.id))
            if status is None or status.status in _GOES_ON:
                self.enqueue(job)
            else:
                self._close(job, status.status)

    def enqueue(self, job: Job) -> None:
        """Hand a job to the queue; doing it twice is harmless."""
        with SetWorkflowID(str(job.id)), SetEnqueueOptions(queue_partition_key=str(job.vm_uuid)):
            DBOS.enqueue_workflow(self._queue, self._workflows[job.operation], str(job.id))

    def _close(self, job: Job, status: str) -> None:
        """End a job whose workflow has ended without it, or its VM could never be backed up again."""
        message = f"The work was given up ({status}). The service's log has the details."
        log.error("job without a workflow closed", job=str(job.id), vm=job.vm_name, workflow=status)
        with self._runtime.catalog.transaction() as tx:
            job_table.finish(
                tx,
                job.id,
                status=JobStatus.FAILED,
                ended=self._runtime.clock(),
                errors=[JobError(OverwinterError.code, message)],
                properties={},
            )
        if job.operation is JobOperation.RESTORE:
            restore.remove_partial(self._runtime, job.id)

    # --- workflows ----------------------------------------------------------------------------------------

    @DBOS.workflow()
    def backup(self, job_id: str) -> None:
        """Preflight, Take Snapshot, Transfer data to vault, clean-up.

        A failed transfer leaves a point in the snapshot tier: the job completes with a warning (reference
        catalogue, section 4.4).
        """
        if not self.begin(job_id):
            return
        outcome, restore_point = self._snapshot_tier(job_id)
        if outcome.error is not None and self._mended(job_id):
            outcome, restore_point = self._snapshot_tier(job_id)
        while outcome.error is not None and self._again(job_id, outcome):
            outcome, restore_point = self._snapshot_tier(job_id)
        if restore_point is not None:
            transferred = self._vault_tier(job_id, restore_point)
            while transferred.error is not None and self._again(job_id, transferred):
                transferred = self._vault_tier(job_id, restore_point)
            outcome.warnings += transferred.warnings
            outcome.cancelled = transferred.cancelled
            if transferred.error is not None:
                outcome.warnings.append(transferred.error)
        self.finish(job_id, outcome)
        if outcome.error is not None and outcome.error.code == RestorePointLimitReached.code:
            clean_up_id = self.order_clean_up(job_id)
            if clean_up_id is not None:
                with self._runtime.catalog.transaction() as tx:
                    self.enqueue(job_table.get(tx, UUID(clean_up_id)))
        self.explain(job_id)  # before the clean-up, which waits for this workflow's end

    @DBOS.workflow()
    def clean_up_points(self, job_id: str) -> None:
        """Remove restore points of a VM, step by step."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            while self.clean_up_step(job_id):
                pass
        self._end(job_id, outcome)

    def _end(self, job_id: str, outcome: _Outcome) -> None:
        """The last two steps of a job."""
        self.finish(job_id, outcome)
        self.explain(job_id)

    def _snapshot_tier(self, job_id: str) -> tuple[_Outcome, UUID | None]:
        """Preflight and snapshot; gives the restore point that was taken."""
        outcome, restore_point = _Outcome(), None
        with _judging(outcome):
            prepared = self.preflight(job_id)
            taken = self.take_snapshot(job_id, prepared)
            outcome.warnings += taken.warnings
            restore_point = taken.restore_point
        return outcome, restore_point

    def _mended(self, job_id: str) -> bool:
        """Whether repairs have changed something, so that another try is worth it."""
        with _judging(_Outcome()):
            return self.repair_after_failure(job_id)
        return False  # it was cancelled, or failed as well: the backup's own failure counts

    def _vault_tier(self, job_id: str, restore_point: UUID) -> _Outcome:
        """Transfer and clean-up."""
        outcome = _Outcome()
        with _judging(outcome):
            outcome.warnings += self.transfer(job_id, restore_point)
            outcome.warnings += self.clean_up(job_id)
        return outcome

    def _again(self, job_id: str, failed: _Outcome) -> bool:
        """Whether to try again what has failed; waits until that is due, unless cancelled meanwhile."""
        if failed.error is None or not self.plan_retry(job_id, failed.error):
            return False
        waited = _Outcome()
        with _judging(waited):
            self.wait_for_retry(job_id)
        if waited.cancelled:
            failed.cancelled, failed.error = True, None
        return not waited.cancelled

    @DBOS.workflow()
    def restore(self, job_id: str) -> None:
        """Write the disks, give them their names, define the VM."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            self.restore_write(job_id)
            self.restore_publish(job_id)
            self.restore_machine(job_id)
        if outcome.status is not JobStatus.COMPLETED:
            self.restore_abandon(job_id)
        self._end(job_id, outcome)

    @DBOS.workflow()
    def configure_backup(self, job_id: str) -> None:
        """Protection is on as soon as the item exists; the job is its record."""
        if self.begin(job_id):
            self._end(job_id, _Outcome())

    @DBOS.workflow()
    def stop_protection(self, job_id: str) -> None:
        """Bring into the vault what only the host has, flatten the VM's chains, keep the vault's points."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            for restore_point in self.only_on_host(job_id):
                outcome.warnings += self.transfer(job_id, restore_point)
            outcome.warnings += self.flatten(job_id)
        self._end(job_id, outcome)

    @DBOS.workflow()
    def delete_backup_data(self, job_id: str) -> None:
        """Flatten the VM's chains, delete the vault's points, forget the item when none of them is kept."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            self.flatten(job_id)
            self.delete_data(job_id)
        self._end(job_id, outcome)

    @DBOS.workflow()
    def undelete(self, job_id: str) -> None:
        """Have deleted data back; protection stays stopped."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            outcome.warnings += self.take_back(job_id)
        self._end(job_id, outcome)

    @DBOS.workflow()
    def repair_machine(self, job_id: str) -> None:
        """Mend what a machine may mend of a VM."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            outcome.warnings += self.repair(job_id)
        self._end(job_id, outcome)

    @DBOS.workflow()
    def work_on_vault(self, job_id: str) -> None:
        """Verify, repair, copy, free space: one step, as the vault itself knows how far it got."""
        if not self.begin(job_id):
            return
        outcome = _Outcome()
        with _judging(outcome):
            outcome.warnings += self.vault_work(job_id)
        self._end(job_id, outcome)

    # --- steps --------------------------------------------------------------------------------------------

    @DBOS.step()
    @unending
    def begin(self, job_id: str) -> bool:
        """Take the job up; false when it was cancelled while it waited for its turn."""
        with self._runtime.catalog.transaction() as tx:
            return job_table.begin(tx, UUID(job_id))

    @DBOS.step()
    @unending
    def plan_retry(self, job_id: str, error: JobError) -> bool:
        """See ``retry``."""
        return retry.plan(self._runtime, UUID(job_id), error)

    @DBOS.step()
    @lasting
    def wait_for_retry(self, job_id: str) -> None:
        """See ``retry``."""
        retry.wait(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def preflight(self, job_id: str) -> Prepared:
        """See ``preflight``."""
        place("backup.preflight")
        self._reporter(job_id).check()
        return preflight.check(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def repair_after_failure(self, job_id: str) -> bool:
        """See ``repairs``."""
        return repairs.after_failure(self._runtime, UUID(job_id), self._reporter(job_id).check)

    @DBOS.step()
    @lasting
    def repair(self, job_id: str) -> tuple[JobError, ...]:
        """See ``repairs``."""
        return repairs.on_request(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def take_snapshot(self, job_id: str, prepared: Prepared) -> Snapshot:
        """See ``snapshot``."""
        taken = snapshot.take(self._runtime, UUID(job_id), prepared)
        # What was written to until now is frozen; under a lock it is immutable from now on.
        flagged = _Outcome()
        with _judging(flagged):
            shield.settle_for_job(self._runtime, UUID(job_id))
        return taken if flagged.error is None else replace(taken, warnings=(*taken.warnings, flagged.error))

    @DBOS.step()
    @lasting
    def transfer(self, job_id: str, restore_point: UUID) -> tuple[JobError, ...]:
        """See ``transfer``."""
        return transfer.transfer(self._runtime, UUID(job_id), restore_point)

    @DBOS.step()
    @lasting
    def clean_up(self, job_id: str) -> tuple[JobError, ...]:
        """See ``prune``. A failed clean-up does not spoil the backup: it is a warning and tried again."""
        outcome = _Outcome()
        with _judging(outcome):
            item, policy = preflight.item_and_policy(self._runtime, UUID(job_id))
            outcome.warnings += prune.expire(self._runtime, item, policy, self._reporter(job_id).check)
        return (*outcome.warnings, *([] if outcome.error is None else [outcome.error]))

    @DBOS.step()
    @lasting
    def clean_up_step(self, job_id: str) -> bool:
        """See ``clean_up``."""
        return clean_up.step(self._runtime, UUID(job_id), self._reporter(job_id).check)

    @DBOS.step()
    @lasting
    def order_clean_up(self, job_id: str) -> str | None:
        """See ``clean_up``."""
        return clean_up.order(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def restore_write(self, job_id: str) -> None:
        """See ``restore``."""
        restore.write(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def restore_publish(self, job_id: str) -> None:
        """See ``restore``."""
        restore.publish(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def restore_machine(self, job_id: str) -> None:
        """See ``restore``."""
        restore.create_machine(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def restore_abandon(self, job_id: str) -> None:
        """A restore that did not complete leaves no partial file."""
        restore.remove_partial(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def only_on_host(self, job_id: str) -> tuple[UUID, ...]:
        """See ``protection``."""
        return protection.only_on_host(self._runtime, UUID(job_id))

    @DBOS.step()
    @lasting
    def flatten(self, job_id: str) -> tuple[JobError, ...]:
        """See ``protection``."""
        place("protection.flatten")
        return protection.stop(self._runtime, UUID(job_id), self._reporter(job_id).check)

    @DBOS.step()
    @lasting
    def delete_data(self, job_id: str) -> None:
        """See ``deletion``."""
        deletion.delete_data(self._runtime, UUID(job_id), self._reporter(job_id).check)

    @DBOS.step()
    @lasting
    def take_back(self, job_id: str) -> tuple[JobError, ...]:
        """See ``deletion``."""
        return deletion.undelete(self._runtime, UUID(job_id), self._reporter(job_id).check)

    @DBOS.step()
    @lasting
    def vault_work(self, job_id: str) -> tuple[JobError, ...]:
        """See ``vault_work``."""
        return vault_work.run(self._runtime, UUID(job_id))

    @DBOS.step()
    @unending
    def finish(self, job_id: str, outcome: _Outcome) -> None:
        """Write the job's end to the catalog, and to its item when it was a backup."""
        problems = ([] if outcome.error is None else [outcome.error]) + outcome.warnings
        profile = self._runtime.settings.profile
        errors = [replace(problem, code=profile.code(problem.code)) for problem in problems]
        now = self._runtime.clock()
        with self._runtime.catalog.transaction() as tx:
            job = job_table.get(tx, UUID(job_id))
            job_table.finish(
                tx,
                job.id,
                status=outcome.status,
                ended=now,
                errors=errors,
                properties={},
                diagnosis=PENDING if self._is_to_be_explained(outcome) else None,
            )
            if job.operation is JobOperation.BACKUP and job.item_id is not None:
                point = job.properties.get(snapshot.RECOVERY_POINT)
                created = None
                if point is not None:
                    created = points.get_recovery_point(tx, job.item_id, str(point)).created
                items.record_backup(
                    tx, job.item_id, started=job.started, status=outcome.status, point=created
                )
        log.info("job ended", job=job_id, operation=job.operation, vm=job.vm_name, status=outcome.status)

    @DBOS.step()
    @unending
    def explain(self, job_id: str) -> None:
        """See ``explaining``."""
        if self._explain is not None:
            explaining.attach(self._runtime, UUID(job_id), self._explain)

    def _is_to_be_explained(self, outcome: _Outcome) -> bool:
        problematic = outcome.status in (JobStatus.FAILED, JobStatus.COMPLETED_WITH_WARNINGS)
        return problematic and self._explain is not None

    def _reporter(self, job_id: str) -> TaskReporter:
        return TaskReporter(self._runtime, UUID(job_id), "")


def configure(runtime: Runtime, explain: Explain | None = None) -> JobEngine:
    """Set DBOS up for this service and register its workflows; ``launch`` starts them.

    ``explain`` finds out what was behind a job's errors once it has ended; null: nobody does.
    """
    config: DBOSConfig = {
        "name": "overwinter",
        "system_database_url": runtime.settings.engine_url,
        "application_version": WORKFLOW_VERSION,
        "executor_id": runtime.settings.host,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    return JobEngine(runtime, explain)


def shut_down() -> None:
    """Stop taking steps; what is cut off goes on at the next launch."""
    DBOS.destroy(destroy_registry=False)
